"""A pipeline object for one call: its tools fresh, its networks skeletons that load what is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.models.families.diffusers.index import constants, part_classes
from flowsynth.models.families.diffusers.lazy import filled_at_first_use, skeleton
from flowsynth.models.families.diffusers.lines import Lines
from flowsynth.models.families.diffusers.moving import ADAPTER, is_moving, moving_builder
from flowsynth.models.families.diffusers.part import Part
from flowsynth.models.families.diffusers.parts import class_of, is_network
from flowsynth.models.families.diffusers.placed import placed
from flowsynth.models.families.diffusers.templates import Templates

if TYPE_CHECKING:
    import torch
    from torch import nn

    Builder = Callable[[], nn.Module]


class Shelf(Protocol):
    """Where real networks come from, and how they run."""

    @property
    def lines(self) -> Lines:
        """What the declaration says of its networks."""
        ...

    @property
    def templates(self) -> Templates:
        """What a call gets copies of."""
        ...

    def dtype_of(self, name: str) -> torch.dtype:
        """Dtype of a part."""
        ...

    def network(self, name: str) -> nn.Module:
        """The network of a part, loaded if it is not resident."""
        ...


def assemble(
    cls: type[Any],
    parts: Mapping[str, Part],
    index: Mapping[str, Any],
    shelf: Shelf,
    device: str,
) -> Any:
    """A pipeline of a class with its parts; nothing but tools is loaded.

    Args:
        cls: the pipeline class.
        parts: by name.
        index: the pipeline's model_index.json.
        shelf: gives real networks.
        device: where networks and generators' results lie.
    """
    wanted = inspect.signature(cls.__init__).parameters
    given: dict[str, Any] = {k: v for k, v in constants(dict(index)).items() if k in wanted}
    classes = part_classes(dict(index))
    for name, (library, kind) in classes.items():
        if name not in wanted:
            continue
        if name == "unet" and is_moving(classes):
            given[name] = _network(name, lambda: _moving(classes, parts), shelf, device)
        else:
            given[name] = _part(name, class_of(library, kind), parts[name], shelf, device)
    for name, parameter in wanted.items():
        if name != "self" and name not in given and parameter.default is inspect.Parameter.empty:
            given[name] = None
    if shelf.lines.spec.ip_adapters and given.get("feature_extractor") is None:
        given["feature_extractor"] = _processor(given["image_encoder"])
    pipe = placed(cls, device, "device", "_execution_device")(**given)
    pipe.set_progress_bar_config(disable=True)
    if scales := [adapter.scale for adapter in shelf.lines.spec.ip_adapters]:
        pipe.set_ip_adapter_scale(scales)
    return pipe


def _part(name: str, cls: type[Any], part: Part, shelf: Shelf, device: str) -> Any:
    if is_network(cls):
        return _network(name, lambda: part.builder(cls), shelf, device)
    return shelf.templates.tool(name, lambda: part.tool(cls))


def _network(name: str, builder: Callable[[], Builder], shelf: Shelf, device: str) -> nn.Module:
    lines = shelf.lines

    def make() -> nn.Module:
        build = lines.built(name, builder())  # whose code is imported outside of what a skeleton is made in
        return skeleton(build, shelf.dtype_of(name), device)

    def begin(network: nn.Module) -> None:
        filled_at_first_use(network, lambda: shelf.network(name), lambda real: lines.ready(name, real))
        lines.begin(name, network)

    return shelf.templates.network(name, make, begin)


def _processor(encoder: Any) -> Any:
    """What makes pictures ready for an image encoder, as diffusers' loader of IP-Adapters has it."""
    from transformers import CLIPImageProcessor

    size = encoder.config.image_size
    return CLIPImageProcessor(size=size, crop_size=size)


def _moving(classes: Mapping[str, tuple[str, str]], parts: Mapping[str, Part]) -> Builder:
    unet, adapter = (parts[name].builder(class_of(*classes[name])) for name in ("unet", ADAPTER))
    return moving_builder(unet, adapter)
