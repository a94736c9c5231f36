"""Sweeps of small graphs, run here and now, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from flowsynth.api import Graph, Session
from flowsynth.config import Settings
from flowsynth.core.events import Observer
from flowsynth.core.record import SweepRecord
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.batches import Sessions
from flowsynth.sweeps.job import Job
from flowsynth.sweeps.perform import Sweep
from flowsynth.sweeps.table import Table


class Started(Observer):
    """The names of the nodes that were computed, as the merged graph has them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def node_started(self, node: str, device: str) -> None:
        self.names.append(node)


def sweep_of(
    graphs: Sequence[Graph], settings: Settings, folder: Path, observer: Observer | None = None
) -> SweepRecord:
    """Run graphs as the jobs of one sweep."""
    jobs = [Job(i, [f"variant={i}"], graph, settings) for i, graph in enumerate(graphs)]
    table = Table(folder, axes_of([job.overrides for job in jobs]))
    sweep = Sweep(table, None, lambda: nullcontext(observer or Observer()), lambda *_: None)
    try:
        with Sessions(lambda own: Session.of(own.run_options())) as sessions:
            sweep.run(jobs, sessions)
    finally:
        table.close()
    return table.record


def record_of(folder: Path, job: int | str) -> dict[str, Any]:
    """What `run.json` of a job says."""
    found: dict[str, Any] = json.loads((folder / str(job) / "run.json").read_text())
    return found


def results(record: dict[str, Any]) -> dict[str, Any]:
    """All of a record that must be the same however the job was run."""
    nodes = {
        name: {key: node[key] for key in ("op", "params", "key", "objects", "bytes", "device", "error")}
        for name, node in record["nodes"].items()
    }
    kept = ("status", "graph", "outputs", "models", "errors", "versions")
    return {"nodes": nodes, **{key: record[key] for key in kept}}
