"""A layered layout of a directed acyclic graph (Sugiyama, Tagawa and Toda, 1981), left to right.

Layers by longest path, a place of its own in every layer that an edge crosses, and the order inside a
layer by the mean position of a box's neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowsynth.drawing.outline import Arrow, Outline

SWEEPS = 8


@dataclass(slots=True)
class Layout:
    """Where everything goes.

    Attributes:
        layers: names in every layer, top to bottom; an edge's own places are called ``i:layer``.
        routes: arrow index -> the names it passes, ends included.
        row: name -> vertical position, in rows.
    """

    layers: list[list[str]] = field(default_factory=list)
    routes: list[list[str]] = field(default_factory=list)
    row: dict[str, float] = field(default_factory=dict)


def lay_out(outline: Outline) -> Layout:
    """The layout of an outline."""
    depth = _depths(outline)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for box in outline.boxes:
        layers[depth[box.name]].append(box.name)
    routes = [_route(i, arrow, depth, layers) for i, arrow in enumerate(outline.arrows)]
    before, after = _neighbours(routes)
    for sweep in range(SWEEPS):
        order = range(1, len(layers)) if sweep % 2 == 0 else range(len(layers) - 2, -1, -1)
        for index in order:
            _sort(layers, index, before if sweep % 2 == 0 else after)
    return Layout(layers, routes, _rows(layers, before, after))


def _depths(outline: Outline) -> dict[str, int]:
    depth = {box.name: 0 for box in outline.boxes}
    incoming: dict[str, int] = dict.fromkeys(depth, 0)
    leaving: dict[str, list[str]] = {name: [] for name in depth}
    for arrow in outline.arrows:
        incoming[arrow.target] += 1
        leaving[arrow.source].append(arrow.target)
    ready = [name for name, count in incoming.items() if count == 0]
    for name in ready:
        for target in leaving[name]:
            depth[target] = max(depth[target], depth[name] + 1)
            incoming[target] -= 1
            if incoming[target] == 0:
                ready.append(target)
    return _pulled(outline, depth)


def _pulled(outline: Outline, depth: dict[str, int]) -> dict[str, int]:
    """Boxes that nothing feeds stand just before their first consumer, not all at the left edge."""
    fed = {arrow.target for arrow in outline.arrows}
    for box in outline.boxes:
        targets = [depth[arrow.target] for arrow in outline.arrows if arrow.source == box.name]
        if box.name not in fed and targets:
            depth[box.name] = min(targets) - 1
    return depth


def _route(index: int, arrow: Arrow, depth: dict[str, int], layers: list[list[str]]) -> list[str]:
    places = []
    for layer in range(depth[arrow.source] + 1, depth[arrow.target]):
        place = f"{index}:{layer}"
        layers[layer].append(place)
        places.append(place)
    return [arrow.source, *places, arrow.target]


def _neighbours(routes: Sequence[Sequence[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for route in routes:
        for left, right in itertools.pairwise(route):
            before.setdefault(right, []).append(left)
            after.setdefault(left, []).append(right)
    return before, after


def _sort(layers: list[list[str]], index: int, neighbours: dict[str, list[str]]) -> None:
    position = {name: i for layer in layers for i, name in enumerate(layer)}

    def centre(name: str) -> float:
        around = neighbours.get(name)
        return sum(position[n] for n in around) / len(around) if around else position[name]

    layers[index].sort(key=centre)


def _rows(
    layers: list[list[str]], before: dict[str, list[str]], after: dict[str, list[str]]
) -> dict[str, float]:
    """Vertical positions: as near as can be to the neighbours' mean, at least one row apart."""
    row = {name: float(i) for layer in layers for i, name in enumerate(layer)}
    # A chain straightens by about one box a sweep.
    for sweep in range(max(SWEEPS, min(4 * len(layers), 80))):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wish = {
                name: _mean(row, [*before.get(name, []), *after.get(name, [])], row[name]) for name in layer
            }
            _place(layer, wish, row)
    top = min(row.values(), default=0.0)
    return {name: value - top for name, value in row.items()}


def _mean(row: dict[str, float], names: list[str], default: float) -> float:
    return sum(row[name] for name in names) / len(names) if names else default


def _place(layer: list[str], wish: dict[str, float], row: dict[str, float]) -> None:
    low: list[float] = []
    for name in layer:
        low.append(max(wish[name], low[-1] + 1) if low else wish[name])
    # Pushing down only would lean to the bottom: centre the layer on what was wished for.
    shift = sum(wish[name] - value for name, value in zip(layer, low, strict=True)) / max(len(layer), 1)
    for name, value in zip(layer, low, strict=True):
        row[name] = value + shift
