"""What trackers are told of a run, or of a sweep's jobs; what goes wrong with it is a note."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.sinks import payload, tell

if TYPE_CHECKING:
    from flowsynth.api import Run
    from flowsynth.config.settings import RecordSettings
    from flowsynth.core.record import SweepRecord


def tell_of_run(settings: RecordSettings, run: Run, folder: Path) -> None:
    """Tell of a run, under the name of its graph and folder."""
    if settings.sink is None:
        return
    record, graph = run.record, run.graph.name
    states = Counter(node.status for node in record.nodes.values())
    facts = {"graph": graph, "status": record.status, "seconds": record.seconds, "saved": record.saved}
    told = {**facts, **{f"nodes.{state}": count for state, count in states.items()}}
    overrides = record.request.overrides
    _say(tell(settings, [payload(f"{graph}/{folder.name}", folder, overrides, told, record.outputs)]))


def tell_of_jobs(settings: RecordSettings, record: SweepRecord, base: Path) -> None:
    """Tell of the jobs of a sweep, each a run of one group."""
    if settings.sink is None:
        return
    runs = [
        payload(
            f"{base.name}/{row.job}",
            base / row.folder,
            row.overrides,
            {"status": row.status, "seconds": row.seconds, **row.metrics},
            row.outputs,
        )
        for row in record.jobs
    ]
    _say(tell(settings, runs, base.name))


def _say(text: str) -> None:
    if text:
        print(f"note: {text}", file=sys.stderr)
