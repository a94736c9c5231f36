"""Where the components of a Stable Diffusion model lie, and their configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowsynth.core.errors import FlowsynthError, InputError
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.single_file.known import checkpoint_of
from flowsynth.models.diffusion.single_file.networks import below, controlnet_config, vae_config
from flowsynth.models.diffusion.single_file.others import looks_like
from flowsynth.models.families.sd.spec import SdSpec
from flowsynth.models.locate import locate
from flowsynth.models.weights import tensor_shapes

#: Factor on the latents of Stable Diffusion 1.x and 2.x.
_VAE_SCALE = 0.18215
#: Folders of a pipeline that are read; a safety checker or feature extractor is not.
COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def component_source(spec: SdSpec, name: str) -> Source:
    """Where a component's weights come from."""
    if name == "vae" and spec.vae is not None:
        return spec.vae
    return spec.source if spec.source.file else spec.source.child(name)


def component_config(spec: SdSpec, name: str, *, offline: bool = False) -> dict[str, Any]:
    """A component's configuration: of its folder, or for a single file of the one beside it or its header.

    Raises:
        InputError: it is missing, or the file does not show it.
    """
    source = component_source(spec, name)
    folder = config_dir(source, name) if source.file else locate(source, offline=offline)
    config = file_config(locate(source), name) if folder is None else read_config(folder)
    if (
        name == "scheduler"
        and folder is None
        and not {"prediction_type"} & {*config, *spec.scheduler.options}
    ):
        raise InputError(
            f"{source.file}: a file of Stable Diffusion 2.x does not show what its network predicts; say"
            " scheduler: {prediction_type: epsilon} (the 512 pixel base) or v_prediction (768 pixels)"
        )
    return config


def described(file: Path) -> Mapping[str, dict[str, Any]]:
    """The configurations of a single file's components, by component.

    Raises:
        InputError: a file that does not show what it is, or that this family does not run.
    """
    found = checkpoint_of(file)
    if found.pipeline != "StableDiffusionPipeline":
        raise InputError(
            f"{file}: a checkpoint of {found.kind}, which family diffusers runs; write family: diffusers, or"
            f" model=pipeline model.source={file} on the command line"
        )
    return found.configs


def file_config(file: Path, kind: str) -> dict[str, Any]:
    """The configuration of a component in a single file: of a whole checkpoint, or of that part alone.

    Raises:
        InputError: a file that does not show what it is, or that this family does not run.
    """
    if kind not in ("vae", "controlnet"):
        return described(file)[kind]
    shapes = tensor_shapes(file) if file.suffix == ".safetensors" else {}
    plain = {name.removeprefix("module."): shape for name, shape in shapes.items()}
    if kind == "controlnet":
        found = controlnet_config(below(plain, "control_model.") or plain)
    elif any(name.startswith("model.diffusion_model.") for name in plain):
        return described(file)[kind]
    else:
        found = vae_config(below(plain, "first_stage_model.") or plain, _VAE_SCALE, 512)
    if found is None:
        raise InputError(
            f"{file}: a single file needs config: a local diffusers folder that describes the {kind}, where"
            f" its tensors do not; {looks_like(file, shapes)}"
        )
    return found


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
        return component_config(spec, name, offline=True)
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
