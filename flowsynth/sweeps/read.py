"""Reads a sweep's table back."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from flowsynth.core.errors import InputError, RequestError, did_you_mean, listing
from flowsynth.core.read_record import known
from flowsynth.core.record import JobRecord, SweepRecord

#: What figures are better small; of the others it has to be said.
SMALL = frozenset({"lpips", "flicker", "warping_error", "niqe", "seconds", "compute"})
LARGE = frozenset({"psnr", "ssim", "xpsnr"})
#: What is known of every job besides its metrics.
OWN = ("seconds", "compute")


def read_sweep(path: Path) -> tuple[SweepRecord, Path]:
    """The table of a sweep, and the folder that it lies in.

    Args:
        path: ``sweep.json``, or its folder.

    Raises:
        InputError: there is none, or something else.
    """
    file = path / "sweep.json" if path.is_dir() else path
    try:
        record = known(SweepRecord, json.loads(file.read_bytes()))
    except (OSError, ValidationError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no table of a sweep"
        raise InputError(
            f"{file}: cannot be read; expected the sweep.json of a sweep; given {reason}"
        ) from None
    return record, file.parent


def metric_of(record: SweepRecord, name: str) -> str:
    """The full name of a metric: ``figures.lpips`` for ``lpips``, where that is the only one.

    Raises:
        RequestError: no job has it, or it may mean several.
    """
    names = list(dict.fromkeys(key for row in record.jobs for key in row.metrics))
    known = [*names, *OWN]
    if name in known:
        return name
    found = [key for key in names if key.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(f"{name}: may mean several metrics; expected one of {listing(found)}")
    raise RequestError(f"{name}: no such metric; expected one of {listing(known)}{did_you_mean(name, known)}")


def value_of(row: JobRecord, metric: str) -> float | None:
    """A job's figure, None where it has none."""
    return float(getattr(row, metric)) if metric in OWN else row.metrics.get(metric)


def best(record: SweepRecord, metric: str, largest: bool | None = None) -> JobRecord:
    """The job with the best figure, the first of several.

    Args:
        record: the table.
        metric: its full name.
        largest: whether more is better; known of some metrics.

    Raises:
        RequestError: nobody said which way is better; no finished job has the figure.
    """
    short = metric.rpartition(".")[2]
    if largest is None and short not in SMALL | LARGE:
        raise RequestError(f"{metric}: is less better, or more? expected --min or --max beside it")
    sign = -1.0 if (largest if largest is not None else short in LARGE) else 1.0
    rows = [(row, value_of(row, metric)) for row in record.jobs if row.status == "done"]
    found = [(sign * value, row.job, row) for row, value in rows if value is not None and value == value]  # noqa: PLR0124
    if not found:
        raise RequestError(f"{metric}: no job that is done has a figure for it")
    return min(found, key=lambda item: item[:2])[2]
