"""Sheets and plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.training.evaluate import sheet

if TYPE_CHECKING:
    from flowsynth.training.pictures import Picture


def save_sheet(clip: Iterable[Picture], path: Path, columns: int = 12, zoom: int = 2) -> None:
    """Save pictures of one size in rows."""
    pictures = list(clip)
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    sheet(rows, zoom).save(path)


def save_plot(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, path: Path
) -> None:
    """Plot curves (x, y) by name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, (across, up) in curves.items():
        axes.plot(across, up, marker="o", markersize=3, label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    FigureCanvasAgg(figure)
    figure.savefig(path)
