"""A pipeline object for one call: its tools fresh, its networks skeletons that load what is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.models.families.diffusers.index import constants, part_classes
from flowsynth.models.families.diffusers.lazy import skeleton
from flowsynth.models.families.diffusers.part import Part
from flowsynth.models.families.diffusers.parts import class_of, is_network
from flowsynth.models.families.diffusers.placed import placed

if TYPE_CHECKING:
    import torch
    from torch import nn


class Shelf(Protocol):
    """Where real networks come from."""

    def network(self, name: str, load: Callable[[], nn.Module]) -> nn.Module:
        """The network of a part, loaded if it is not resident."""
        ...


def assemble(
    cls: type[Any],
    parts: Mapping[str, Part],
    index: Mapping[str, Any],
    shelf: Shelf,
    dtype: torch.dtype,
    device: str,
) -> Any:
    """A pipeline of a class with its parts; nothing but tools is loaded.

    Args:
        cls: the pipeline class.
        parts: by name.
        index: the pipeline's model_index.json.
        shelf: gives real networks.
        dtype: of the weights.
        device: where networks and generators' results lie.
    """
    wanted = inspect.signature(cls.__init__).parameters
    given: dict[str, Any] = {k: v for k, v in constants(dict(index)).items() if k in wanted}
    for name, (library, kind) in part_classes(dict(index)).items():
        if name in wanted:
            given[name] = _part(name, class_of(library, kind), parts[name], shelf, dtype, device)
    for name, parameter in wanted.items():
        if name != "self" and name not in given and parameter.default is inspect.Parameter.empty:
            given[name] = None
    pipe = placed(cls, device, "device", "_execution_device")(**given)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _part(name: str, cls: type[Any], part: Part, shelf: Shelf, dtype: torch.dtype, device: str) -> Any:
    if not is_network(cls):
        return part.tool(cls)
    load = part.loader(cls, dtype, device)
    return skeleton(part.builder(cls), lambda: shelf.network(name, load), dtype, device)
