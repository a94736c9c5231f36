"""How an entry of the table looks; see :mod:`.classes` for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flowsynth.comfyui.mapping.site import Site

#: What a node gives, by output.
Outputs: TypeAlias = tuple[object, ...]
Mapper: TypeAlias = Callable[[Site], Outputs]


@dataclass(frozen=True)
class NodeClass:
    """A class of ComfyUI's nodes.

    Attributes:
        run: what it is here.
        widgets: names of its widgets in the editor's order, those after a seed left out.
        sink: whether it is a result: ``save``, ``preview``, or empty.
    """

    run: Mapper
    widgets: tuple[str, ...] = ()
    sink: str = ""


Table: TypeAlias = Mapping[str, NodeClass]


def node(run: Mapper, widgets: str = "", sink: str = "") -> NodeClass:
    """An entry, with the names of its widgets as one text."""
    return NodeClass(run, tuple(widgets.split()), sink)


def first(port: str) -> Mapper:
    """A class that hands on what it is given."""
    return lambda site: (site.value(port),)
