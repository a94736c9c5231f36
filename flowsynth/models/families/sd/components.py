"""Where the components of a Stable Diffusion model lie, and their configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flowsynth.core.errors import FlowsynthError, InputError, RequestError
from flowsynth.fetch.source import Source
from flowsynth.models.families.sd.spec import Lora, SdSpec, TextualInversion
from flowsynth.models.locate import locate

#: Folders of a pipeline that are read; a safety checker or feature extractor is not.
COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def component_source(spec: SdSpec, name: str) -> Source:
    """Where a component's weights come from."""
    if name == "vae" and spec.vae is not None:
        return spec.vae
    return spec.source if spec.source.file else spec.source.child(name)


def config_folder(spec: SdSpec, name: str, *, offline: bool = False) -> Path:
    """The local folder with a component's configuration.

    Raises:
        RequestError: a single file without a config folder.
    """
    source = component_source(spec, name)
    if not source.file:
        return locate(source, offline=offline)
    folder = config_dir(source, name)
    if folder is None:
        raise RequestError(
            f"{source.file}: a single file needs config: a local diffusers folder that describes it"
        )
    return folder


def config_dir(source: Source, name: str) -> Path | None:
    """The folder that describes a component of a single file; None where the source names none."""
    if source.config is None:
        return None
    root = locate(Source(path=source.config))
    return root / name if (root / name).is_dir() else root


def known_config(spec: SdSpec, name: str) -> dict[str, Any]:
    """A component's configuration where it lies on this machine; empty where that cannot be told at once.

    The hub's cache is not looked into: that would import its library for every plan.
    """
    if component_source(spec, name).hub:
        return {}
    try:
        return read_config(config_folder(spec, name, offline=True))
    except FlowsynthError:
        return {}


def read_config(folder: Path) -> dict[str, Any]:
    """A component's ``config.json`` (or ``scheduler_config.json``).

    Raises:
        InputError: missing, or not a JSON mapping.
    """
    name = "scheduler_config.json" if folder.name == "scheduler" else "config.json"
    path = folder / name
    try:
        data = json.loads(path.read_text())
    except OSError:
        raise InputError(f"{path}: no such file; expected a diffusers folder") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping, given a {type(data).__name__}")
    return data


def adapter_file(adapter: Lora | TextualInversion, *, offline: bool = False) -> Path:
    """The file of an adapter: the source itself, ``weight_name`` inside it, or its only weight file.

    Raises:
        InputError: no file, or several to choose from.
    """
    path = locate(adapter.source, offline=offline)
    if path.is_file():
        return path
    if adapter.weight_name:
        if not (path / adapter.weight_name).is_file():
            found = ", ".join(sorted(p.name for p in path.iterdir())) or "nothing"
            raise InputError(f"{path}: no file {adapter.weight_name!r}; found {found}")
        return path / adapter.weight_name
    files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".bin", ".pt"))
    if len(files) != 1:
        names = ", ".join(p.name for p in files) or "none"
        raise InputError(f"{path}: expected one weight file, found {names}; set weight_name")
    return files[0]
