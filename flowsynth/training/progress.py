"""Progress of a training run: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class TrainingProgress:
    """Shows steps, time left and smoothed figures of a stage."""

    def __init__(self, name: str, step: int, end: int, every: float = 30.0) -> None:
        self.console = Console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=end, completed=step, figures="")
        self.name, self.step, self.end, self.every = name, step, end, every
        self.smooth: dict[str, float] = {}
        self.printed = time.monotonic()

    def __enter__(self) -> TrainingProgress:
        """Starts the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the bar."""
        self.bar.stop()

    def update(self, figures: dict[str, float]) -> None:
        """Counts one step and folds its figures into exponential means."""
        self.step += 1
        for key, value in figures.items():
            self.smooth[key] = 0.98 * self.smooth.get(key, value) + 0.02 * value
        text = " ".join(f"{key} {value:.4g}" for key, value in self.smooth.items())
        self.bar.update(self.task, advance=1, figures=text)
        if not self.console.is_terminal and time.monotonic() - self.printed > self.every:
            print(f"{self.name} {self.step}/{self.end} {text}", flush=True)
            self.printed = time.monotonic()

    def means(self) -> dict[str, float]:
        """Returns the smoothed figures."""
        return dict(self.smooth)


def plot_losses(table: Path, picture: Path) -> None:
    """Draws every column of a loss table over the steps; does nothing while there is no table."""
    if not table.exists():
        return
    from matplotlib.figure import Figure

    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    columns = [key for key in rows[0] if key not in ("step", "seconds")]
    figure = Figure(figsize=(7, 2.2 * len(columns)), layout="constrained")
    for axes, key in zip(figure.subplots(len(columns), squeeze=False)[:, 0], columns, strict=True):
        axes.plot([int(row["step"]) for row in rows], [float(row[key]) for row in rows])
        axes.set(ylabel=key, xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(picture)
