"""The live table: a row a node, redrawn while the run goes. Rich is imported only if something runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from flowsynth.cli.progress import finished_text, started_text
from flowsynth.cli.terminal import visible
from flowsynth.core.events import NodeOutline
from flowsynth.core.readable import seconds_text
from flowsynth.core.record import RunRecord
from flowsynth.core.tracking import Row, Tracker

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

REFRESH_PER_SECOND = 8
BAR = 12
_STYLE = {
    "waiting": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "hit": ("✓", "dim green"),
    "computed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "skipped": ("-", "yellow"),
}
#: Who gives way first when the terminal has fewer lines than the graph has nodes.
_RANK = {"failed": 0, "running": 1, "computed": 2, "skipped": 3, "waiting": 4, "hit": 5}


class LiveTable(Tracker):
    """The rows as a table on a terminal. A run of nothing but hits is one line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._live: Live | None = None
        self._notes: list[str] = []

    def run_started(self, graph: str, nodes: Sequence[NodeOutline]) -> None:
        """Open the table if there is anything to watch."""
        super().run_started(graph, nodes)
        if all(node.status == "hit" for node in nodes):
            print(visible(started_text(graph, nodes)), file=self.stream)
            return
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(file=self.stream),
            get_renderable=self._render,
            refresh_per_second=REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def note(self, node: str, text: str) -> None:
        """Keep it for the lines below the table."""
        with self.lock:
            self._notes.append(f"{node}: {text}" if node else text)

    def run_finished(self, record: RunRecord) -> None:
        """Draw it a last time, and say what became of the run."""
        self.close()
        for note in self._notes:
            print(visible(f"note: {note}"), file=self.stream)
        print(visible(finished_text(record)), file=self.stream)

    def close(self) -> None:
        """Stop redrawing; the last state stays on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> Table:
        from rich.table import Table

        with self.lock:
            rows, hidden = self._visible()
            table = Table(title=self._title(), title_justify="left", box=None, pad_edge=False, padding=(0, 1))
            cells = [_cells(row) for row in rows]
            for i, name in enumerate(("", "node", "operator", "progress", "time", "device", "")):
                # Only the last column, where errors stand, gives way to a narrow terminal.
                least = max((len(row[i]) for row in cells), default=0) if i < 6 else None
                table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=least)
            for row, texts in zip(rows, cells, strict=True):
                table.add_row(*texts, style=_STYLE[row.state][1])
            if hidden:
                table.add_row("", f"... {hidden} more", style="dim")
            return table

    def _visible(self) -> tuple[list[Row], int]:
        room = max(self._height() - 5, 3)
        rows = list(self.rows.values())
        if len(rows) <= room:
            return rows, 0
        chosen = {id(row) for row in sorted(rows, key=lambda row: (_RANK[row.state], -row.since))[:room]}
        return [row for row in rows if id(row) in chosen], len(rows) - room

    def _height(self) -> int:
        live: Any = self._live
        return int(live.console.size.height) if live is not None else 24

    def _title(self) -> str:
        over = sum(row.state not in ("waiting", "running") for row in self.rows.values())
        elapsed = seconds_text(time.monotonic() - self.began)
        left, saved = self.left(), self.saved()
        parts = [f"{visible(self.graph)}  {over}/{len(self.rows)} nodes  {elapsed}"]
        if left is not None and left >= 1:
            parts.append(f"about {seconds_text(left)} left")
        if saved >= 0.05:
            parts.append(f"hits saved {seconds_text(saved)}")
        return "  ".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    from rich.markup import escape

    spent = time.monotonic() - row.since if row.state == "running" else row.seconds
    clock = seconds_text(spent) if spent else ""
    return (
        _STYLE[row.state][0],
        escape(visible(row.outline.name)),
        escape(visible(row.outline.op)),
        progress_text(row),
        clock,
        row.device if row.state != "hit" else "cache",
        escape(visible(row.text)),
    )


def progress_text(row: Row) -> str:
    """Chunks done, steps done, and a bar over both, as far as they are known."""
    many = row.total is None or row.total > 1
    chunks = f"{row.done}/{'?' if row.total is None else row.total}" if many and row.state != "hit" else ""
    steps = f"step {row.step}/{row.steps}" if row.steps else ""
    if row.state != "running" or not (row.total or row.steps):
        return chunks
    full = round((row.share if row.total else row.step / row.steps) * BAR)
    return " ".join(filter(None, ["━" * full + "╌" * (BAR - full), chunks, steps]))
