"""The parts of a pipeline: tools and networks, and how each is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.quiet import quiet

if TYPE_CHECKING:
    from torch import nn


def class_of(library: str, name: str) -> type[Any]:
    """The class of a part, from diffusers or transformers only.

    Raises:
        InputError: another library, which could run any code, or no such class.
    """
    if library.startswith("diffusers.") or library in (
        "stable_diffusion",
        "deepfloyd_if",
        "latent_diffusion",
    ):
        library = f"diffusers.pipelines.{library}" if "." not in library else library
    if library.partition(".")[0] not in ("diffusers", "transformers"):
        pipeline = f"diffusers.pipelines.{library}"
        try:
            return _named(pipeline, name)
        except ImportError:
            raise InputError(
                f"a part of class {library}.{name}: expected one of diffusers or transformers"
            ) from None
    return _named(library, name)


def _named(library: str, name: str) -> type[Any]:
    found = getattr(importlib.import_module(library), name, None)
    if not isinstance(found, type):
        raise InputError(f"{library} has no class {name}")
    return found


def is_network(cls: type[Any]) -> bool:
    """Whether instances hold weights."""
    from torch import nn

    return issubclass(cls, nn.Module)


def load_tool(cls: type[Any], folder: Path) -> Any:
    """A tokenizer, scheduler or processor from its folder."""
    return cls.from_pretrained(folder, local_files_only=True)


def network_builder(cls: type[Any], folder: Path) -> Callable[[], nn.Module]:
    """What makes a network from its configuration, without weights."""
    if hasattr(cls, "load_config"):  # of diffusers
        config = cls.load_config(folder, local_files_only=True)
        return lambda: cls.from_config(config)
    config = cls.config_class.from_pretrained(folder, local_files_only=True)
    return lambda: cls._from_config(config)


def network_loader(cls: type[Any], folder: Path, dtype: Any, device: str) -> Callable[[], nn.Module]:
    """What loads a network with its weights, in eval mode, on a device."""
    argument = "torch_dtype" if hasattr(cls, "load_config") else "dtype"

    def load() -> nn.Module:
        with quiet():
            return _load().eval().to(device)

    def _load() -> nn.Module:
        network: nn.Module = cls.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, **{argument: dtype}
        )
        return network

    return load
