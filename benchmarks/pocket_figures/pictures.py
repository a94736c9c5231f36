"""Sheets and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from flowsynth.training.evaluate import sheet


def save_sheet(clip: Sequence[np.ndarray], path: Path, columns: int = 12, zoom: int = 2) -> None:
    """Save pictures of one size in rows."""
    rows = [list(clip[i : i + columns]) for i in range(0, len(clip), columns)]
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
    FigureCanvasAgg(figure).print_png(str(path))
