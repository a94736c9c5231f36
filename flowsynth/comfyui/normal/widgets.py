"""The editor's files hold a node's widgets as a list without names: which value is whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowsynth.core.canonical import Json

#: What the editor puts after a seed: what becomes of it after a run.
CONTROLS = ("fixed", "increment", "decrement", "randomize")


def named_values(
    values: Sequence[Json] | Mapping[str, Json], listed: Sequence[str], known: Sequence[str]
) -> dict[str, Json]:
    """Values of widgets by name.

    Args:
        values: as the file holds them; some classes write a mapping.
        listed: names of the widgets that the node itself lists, in order; older files list only some.
        known: names that the class is known to have, in order.
    """
    if isinstance(values, Mapping):
        return {str(name): value for name, value in values.items()}
    plain = _without_controls(values)
    names = listed if len(listed) >= len(plain) or not known else known
    return dict(zip(names, plain, strict=False))


def _without_controls(values: Sequence[Json]) -> list[Json]:
    """The values, without what only the editor reads after numbers."""
    kept: list[Json] = []
    for k, value in enumerate(values):
        before = values[k - 1] if k else None
        number = isinstance(before, int) and not isinstance(before, bool)
        if not (number and isinstance(value, str) and value in CONTROLS):
            kept.append(value)
    return kept


def widget_names(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the widgets among the inputs that a node lists."""
    return [str(each["name"]) for each in inputs if isinstance(each.get("widget"), Mapping)]
