"""A run as notebooks show it: what became of its nodes, and what it made."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.core.canonical import canonical_json
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.secrets import hidden_text

if TYPE_CHECKING:
    from flowsynth.core.graph import CoreGraph
    from flowsynth.core.record import RunRecord
    from flowsynth.planning.plan import Plan

#: Rows of a table, and characters of a value.
_ROWS, _TEXT = 200, 2000
_WORDS = {"hit": "from the cache"}


class Made(Protocol):
    """What is read of a run."""

    graph: CoreGraph
    plan: Plan

    @property
    def record(self) -> RunRecord:
        """What became of it."""

    def __getitem__(self, name: str, /) -> Any:
        """A value that it made."""


def run_html(run: Made) -> str:
    """The run's outcome in a line, its outputs, and its nodes as a table that can be opened."""
    record = run.record
    counts = Counter(node.status for node in record.nodes.values())
    said = ", ".join(f"{number} {_WORDS.get(status, status)}" for status, number in counts.items())
    name = html.escape(run.graph.name)
    head = f"<p><b>{name}</b>: {record.status} in {record.seconds:.1f} s; {said}</p>"
    errors = [f"<pre>{_text(text)}</pre>" for text in record.errors]
    outputs = [f"<p>{_text(str(edge))}</p>{_output(run, str(edge))}" for edge in run.plan.wanted]
    cells = [
        "".join(
            f"<td>{_text(str(cell))}</td>" for cell in (node, made.op, made.status, f"{made.seconds:.2f}")
        )
        for node, made in list(record.nodes.items())[:_ROWS]
    ]
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    more = f"<p>and {len(record.nodes) - _ROWS} more</p>" if len(record.nodes) > _ROWS else ""
    top = "<tr><th>node</th><th>operator</th><th>status</th><th>seconds</th></tr>"
    table = f"<details><summary>nodes</summary><table>{top}{rows}</table>{more}</details>"
    return "\n".join([head, *errors, *outputs, table])


def _output(run: Made, name: str) -> str:
    try:
        return value_html(run[name])
    except (FlowsynthError, KeyError) as error:
        return f"<p>{_text(str(error))}</p>"


def value_html(value: Any) -> str:
    """A value: what it shows of itself, else its text."""
    if hasattr(value, "_repr_html_"):
        return str(value._repr_html_())
    if hasattr(value, "_repr_png_") and (picture := value._repr_png_()) is not None:
        import base64

        return f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}" alt="frames">'
    try:
        text = value if isinstance(value, str) else canonical_json(value)
    except (TypeError, ValueError, FlowsynthError):
        text = type(value).__name__
    return f"<pre>{_text(text)}</pre>"


def _text(text: str) -> str:
    shown = text if len(text) <= _TEXT else f"{text[:_TEXT]} ..."
    return html.escape(hidden_text(shown))
