"""A graph as it is drawn, however large, with many nodes of one kind as one box; and the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowsynth.core.readable import seconds_text
from flowsynth.drawing.geometry import geometry_of
from flowsynth.drawing.outline import Arrow, Box, Outline
from flowsynth.report.pages import Bar, GraphView, NodeView

#: More boxes than these are put together, by stage and operator.
MOST_BOXES = 150
MOST_BARS = 60
#: The worst of several states names a box that stands for several nodes.
_ORDER = ("failed", "skipped", "running", "computed", "waiting", "hit")


def sources_of(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(port, what feeds it) of a node's entry in a resolved graph."""
    found = []
    given = spec.get("inputs")
    for port, value in given.items() if isinstance(given, dict) else ():
        edges = value if isinstance(value, list) else [value]
        found += [(str(port), str(edge)) for edge in edges]
    return found


def graph_view(nodes: Sequence[NodeView], wanted: Sequence[str]) -> GraphView | None:
    """The drawing of a run's graph; None where even its groups are too many.

    Args:
        nodes: upstream first.
        wanted: names of the nodes that the graph delivers.
    """
    if len(nodes) <= MOST_BOXES:
        return _drawn(nodes, wanted, lambda node: node.name, "")
    for group, how in ((_stage_and_op, "stage and operator"), (_op, "operator")):
        if len({group(node) for node in nodes}) <= MOST_BOXES:
            return _drawn(nodes, wanted, group, f"{len(nodes):,} nodes, put together by {how}")
    return None


def _stage_and_op(node: NodeView) -> str:
    stage = node.name.rpartition("/")[0]
    return f"{stage}/{node.op}" if stage else node.op


def _op(node: NodeView) -> str:
    return node.op


def _drawn(
    nodes: Sequence[NodeView], wanted: Sequence[str], group: Callable[[NodeView], str], note: str
) -> GraphView:
    groups: dict[str, list[NodeView]] = {}
    of = {node.name: group(node) for node in nodes}
    for node in nodes:
        groups.setdefault(of[node.name], []).append(node)
    ends = {of[name] for name in wanted if name in of}
    boxes = [Box(name, _text(members), wanted=name in ends) for name, members in groups.items()]
    links = {name: members[0].number for name, members in groups.items() if len(members) == 1}
    states = {name: min((n.status for n in members), key=_ORDER.index) for name, members in groups.items()}
    outline = Outline("", tuple(boxes), _arrows(nodes, of, list(groups)))
    counts = {name: len(members) for name, members in groups.items()}
    return GraphView(geometry_of(outline), states, links, counts, note)


def _text(members: Sequence[NodeView]) -> str:
    if len(members) > 1:
        counts = Counter(node.status for node in members)
        return ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    (node,) = members
    if node.status == "hit" and node.saved >= 0.01:
        return f"{node.op} · saved {seconds_text(node.saved)}"
    return f"{node.op} · {seconds_text(node.seconds)}" if node.seconds >= 0.01 else node.op


def _arrows(nodes: Sequence[NodeView], of: Mapping[str, str], order: Sequence[str]) -> tuple[Arrow, ...]:
    """Arrows between boxes, once each, and none that leads back: several nodes as one may form a circle."""
    place = {name: i for i, name in enumerate(order)}
    found: dict[tuple[str, str, str], None] = {}
    for node in nodes:
        for port, edge in node.inputs:
            source = edge if edge in of else edge.rpartition(".")[0]
            if source in of and place[of[source]] < place[of[node.name]]:
                found[of[source], of[node.name], port if len(of) == len(order) else ""] = None
    return tuple(Arrow(source, target, port, "") for source, target, port in found)


def timeline(
    nodes: Sequence[NodeView], busy: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], seconds: float
) -> tuple[list[Bar], int]:
    """Rows by device, those that took the longest if there are many; and how many are left out.

    Args:
        nodes: the nodes.
        busy: node -> device -> stretches of work.
        seconds: of the run.
    """
    rows = [(node, device, spans) for node in nodes for device, spans in busy.get(node.name, {}).items()]
    rows += [(node, "cache", []) for node in nodes if node.status == "hit" and node.saved >= 0.01]
    kept = sorted(rows, key=lambda row: -max(row[0].seconds, row[0].saved))[:MOST_BARS]
    scale = 1000 / max(seconds, *(b for _, _, spans in rows for _, b in spans), 1e-3)
    bars = [
        Bar(node, device, [(round(a * scale, 2), round(max((b - a) * scale, 1.5), 2)) for a, b in spans])
        for node, device, spans in kept
    ]
    bars.sort(key=lambda bar: (bar.device == "cache", bar.device, bar.spans[:1], bar.node.number))
    return bars, len(rows) - len(kept)


def ticks(seconds: float) -> list[tuple[float, str]]:
    """(place in thousandths, text) of round times along the timeline."""
    if seconds <= 0:
        return []
    steps = [m * 10**e for e in range(-3, 7) for m in (1, 2, 5)]
    step = next((step for step in steps if seconds / step <= 6), steps[-1])
    return [(1000 * i * step / seconds, seconds_text(i * step)) for i in range(int(seconds / step) + 1)]
