"""From the table of a sweep to what its page shows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from flowsynth.core.errors import FlowsynthError
from flowsynth.core.read_record import RUN, read_record
from flowsynth.core.record import JobRecord, RunRecord, SweepRecord
from flowsynth.report.collect import commands, outputs_of
from flowsynth.report.media import Shelf
from flowsynth.report.pages import JobView, Media, SweepPage
from flowsynth.sweeps.sheets import Axis, axes_of
from flowsynth.sweeps.table import csv_text

#: How a job that leaves a key alone is shown.
_ALONE = "(default)"
#: Overrides that say nothing of what a job makes.
_PLACES = ("output_dir=", "cache.dir=")
_LINKED = "{} files have no room in the page: it shows them from where they lie"


def sweep_page(record: SweepRecord, folder: Path, shelf: Shelf) -> SweepPage:
    """The page of a sweep.

    Args:
        record: its table.
        folder: that it lies in.
        shelf: gives files their addresses.
    """
    axes = [axis for axis in axes_of(record) if len(axis.values) > 1]
    jobs = [_job(row, axes, folder, shelf) for row in sorted(record.jobs, key=lambda row: row.job)]
    grid, sheet = _first_sheet(jobs, axes)
    counts = Counter(job.status for job in jobs)
    first = _first_run(record, folder)
    return SweepPage(
        title=str(first.graph.get("name") or folder.name) if first else folder.name,
        axes=[
            (" + ".join(axis.keys), _short(axis), [_told(value) for value in axis.values]) for axis in axes
        ],
        jobs=jobs,
        metrics=_metrics(record),
        grid=grid,
        sheet=sheet,
        counts={status: counts[status] for status in ("done", "failed") if counts[status]},
        seconds=max((row.seconds for row in record.jobs), default=0.0),
        compute=sum(row.compute for row in record.jobs),
        commands=commands(first.request.command if first else [], [], {}, folder),
        csv=csv_text(record),
        left_out=[f"{shelf.linked} files are too large to be in the page, and linked"]
        if shelf.linked
        else [],
    )


def _metrics(record: SweepRecord) -> list[tuple[str, str]]:
    """(name, as short as it can be told from the others) of all metrics; those that differ come first."""
    names = list(dict.fromkeys(key for row in record.jobs for key in row.metrics))
    values = {name: {row.metrics[name] for row in record.jobs if name in row.metrics} for name in names}
    ends = Counter(name.rpartition(".")[2] for name in names)
    names.sort(key=lambda name: len(values[name]) < 2)
    return [(name, end if ends[end := name.rpartition(".")[2]] == 1 else name) for name in names]


def _short(axis: Axis) -> str:
    return " + ".join(key.rpartition(".")[2] or key for key in axis.keys)


def _told(value: tuple[str | None, ...]) -> str:
    return ", ".join(_ALONE if part is None else part for part in value)


def _job(row: JobRecord, axes: list[Axis], folder: Path, shelf: Shelf) -> JobView:
    place = folder / row.folder
    inside = place.resolve().is_relative_to(folder.resolve())
    found = outputs_of(row.outputs, place, shelf) if inside else []
    looks = [media for media in found if media.kind in ("video", "image", "audio")]
    values = [
        (name, json.dumps(value, ensure_ascii=False)[:200])
        for name, value in row.outputs.items()
        if not isinstance(value, str)
    ]
    report = place / "report.html"
    return JobView(
        job=row.job,
        status=row.status,
        overrides=[line for line in row.overrides if not line.startswith(_PLACES)],
        values=[_told(axis.of(row)) for axis in axes],
        metrics=row.metrics,
        seconds=row.seconds,
        compute=row.compute,
        nodes=row.nodes,
        shared=row.shared,
        hits=row.tasks.hit,
        computed=row.tasks.computed,
        folder=row.folder,
        report=f"{row.folder}/report.html" if inside and report.is_file() and shelf.beside == folder else "",
        media=_first(looks, found),
        values_out=values,
        errors=row.errors,
    )


def _first(looks: list[Media], found: list[Media]) -> Media | None:
    return next(iter(looks), next(iter(found), None))


def _first_sheet(jobs: list[JobView], axes: list[Axis]) -> tuple[list[list[JobView | None]], str]:
    """Cells of the last two axes where all others have their first value, and what those are."""
    values = [[_told(value) for value in axis.values] for axis in axes]
    columns = values[-1] if values else [""]
    rows = values[-2] if len(values) > 1 else [""]
    rest = [options[0] for options in values[:-2]]
    places = {tuple(job.values): job for job in jobs}

    def at(row: str, column: str) -> JobView | None:
        return places.get((*rest, row, column)[-len(axes) :] if axes else ())

    grid = [[at(row, column) for column in columns] for row in rows]
    told = ", ".join(f"{_short(axis)} = {value}" for axis, value in zip(axes, rest, strict=False))
    return grid, told


def _first_run(record: SweepRecord, folder: Path) -> RunRecord | None:
    """The record of the first job that left one: it names the graph and the command."""
    for row in record.jobs:
        try:
            found = read_record(folder / row.folder / RUN)
        except FlowsynthError:
            continue
        if isinstance(found, RunRecord):
            return found
    return None
