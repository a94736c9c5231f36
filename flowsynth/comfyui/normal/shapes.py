"""The editor's JSON with its types looked at: nodes and wires, whatever version wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flowsynth.core.errors import RequestError


class Wire(NamedTuple):
    """One entry of ``links``: from an output to an input."""

    origin: str
    slot: int
    target: str
    port: int


class Socket(NamedTuple):
    """An input of a node, as the file lists it."""

    name: str
    type: str
    link: int | None
    widget: bool


@dataclass(frozen=True)
class UiNode:
    """A node of the editor.

    Attributes:
        id: its number.
        kind: its class, or the identifier of a subgraph.
        title: what its author calls it.
        mode: 0 runs, 2 is muted, 4 is bypassed.
        inputs: its sockets for wires, in order.
        outputs: types of its outputs.
        widgets: their values.
        properties: what else the editor keeps.
    """

    id: str
    kind: str
    title: str
    mode: int
    inputs: tuple[Socket, ...]
    outputs: tuple[str, ...]
    widgets: Sequence[Any] | Mapping[str, Any]
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class UiGraph:
    """Nodes and wires of a workflow or of a subgraph.

    Attributes:
        nodes: in order.
        wires: by number.
        inputs: names of a subgraph's inputs.
    """

    nodes: tuple[UiNode, ...]
    wires: Mapping[int, Wire]
    inputs: tuple[str, ...] = ()


def ui_graph(data: Mapping[str, Any]) -> UiGraph:
    """Read ``nodes`` and ``links``.

    Raises:
        RequestError: they are not what the editor writes.
    """
    try:
        nodes = tuple(_node(each) for each in data["nodes"])
        wires = dict(_wires(data.get("links") or []))
        inputs = tuple(str(each.get("name", "")) for each in data.get("inputs") or [])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RequestError(
            f"the workflow's nodes or links are damaged ({type(error).__name__}: {error}); expected those"
            " that ComfyUI's menu saves"
        ) from None
    return UiGraph(nodes, wires, inputs)


def _node(data: Mapping[str, Any]) -> UiNode:
    kind = str(data["type"])
    widgets = data.get("widgets_values")
    return UiNode(
        id=str(data["id"]),
        kind=kind,
        title=str(data.get("title") or ""),
        mode=int(data.get("mode") or 0),
        inputs=tuple(_socket(each) for each in data.get("inputs") or []),
        outputs=tuple(str(each.get("type")) for each in data.get("outputs") or []),
        widgets=widgets if isinstance(widgets, (list, Mapping)) else [],
        properties=data.get("properties") or {},
    )


def _socket(data: Mapping[str, Any]) -> Socket:
    link = data.get("link")
    widget = isinstance(data.get("widget"), Mapping)
    return Socket(str(data["name"]), str(data.get("type")), None if link is None else int(link), widget)


def _wires(links: Any) -> Iterator[tuple[int, Wire]]:
    for each in links.values() if isinstance(links, Mapping) else links:
        if each is None:
            continue
        if isinstance(each, Mapping):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            number, origin, slot, target, port = (each[name] for name in names)
        else:
            number, origin, slot, target, port = each[:5]
        yield int(number), Wire(str(origin), int(slot), str(target), int(port or 0))
