"""What a run leaves: values by name, the record, and files with their provenance."""

from __future__ import annotations

import contextlib
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth._version import __version__
from flowsynth.api.delivered import Delivered
from flowsynth.api.outputs import deliver, file_stems, tidy, write_atomic
from flowsynth.api.provenance import Provenances
from flowsynth.core.devices import Facts, devices_of
from flowsynth.core.edges import Edge
from flowsynth.core.errors import RunError, did_you_mean
from flowsynth.core.graph import Handle, Name
from flowsynth.core.keys import library_version
from flowsynth.core.ports import DEFAULT_OUTPUT
from flowsynth.core.record import NodeRecord, RunRecord, TaskCounts, record_parts
from flowsynth.core.refs import JsonRef, Trace, ref_bytes
from flowsynth.core.secrets import has_secrets
from flowsynth.core.spec import node_spec, to_spec
from flowsynth.core.status import NodeStatus
from flowsynth.executors.memory import peak_rss
from flowsynth.planning.explain import differences
from flowsynth.planning.plan import Plan

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache
    from flowsynth.executors.shelf import Shelf
    from flowsynth.executors.tasks import StepRun

#: Lines about what changed of a node that a record keeps.
MOST_CHANGES = 20
LIBRARIES = ("torch", "diffusers", "transformers", "av", "numpy")


class RunFailedError(RunError):
    """Some nodes failed; what they did not need is done and kept.

    Attributes:
        run: the run, with its record and the values that exist; it stays in the process that ran it.
        record: what became of each node.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.record = run.record
        self.exit_code = run.exit_code
        super().__init__("\n".join(run.summary.errors) or "the run failed")

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process gets: all but the run, whose values lie in this one's memory and cache."""
        again, (kind, args, attributes) = super().__reduce__()
        return again, (kind, args, {name: value for name, value in attributes.items() if name != "run"})


class Run:
    """The results of a run.

    ``run["node"]``, ``run["node.port"]``, ``run["stage"]`` or ``run[handle]`` gives a value; large ones stay
    mapped from the cache.

    Attributes:
        output_dir: where files were written, if anywhere.
        seconds: wall time of the run.
        peak_alive: most chunks that were in memory at once.
        notes: what the user should know of the run, besides what its cache and its nodes say.
        shares: node -> how many jobs of a sweep it was made for.
        facts: what results depend on, of the devices of other machines; None where they are this one's.
    """

    def __init__(self, plan: Plan, runs: Mapping[str, StepRun], cache: Cache, shelf: Shelf) -> None:
        self.graph = plan.graph
        self.plan = plan
        self.output_dir: Path | None = None
        self.peak_alive = 0
        self._runs = runs
        self._cache = cache
        self._shelf = shelf
        self._rss = peak_rss()
        self._ended, self._over = datetime.now(timezone.utc), time.monotonic()
        self.seconds = 0.0
        self.notes: list[str] = []
        self.shares: Mapping[str, int] = {}
        self.facts: Mapping[str, Facts] | None = None

    def __repr__(self) -> str:
        """What became of it, as ``Run('toon', done, hit=11, computed=1)``."""
        counts = Counter(node.status for node in self.record.nodes.values())
        shown = [repr(self.graph.name), self.record.status, *(f"{name}={n}" for name, n in counts.items())]
        return f"Run({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """As notebooks show it: what it made, and what became of its nodes."""
        from flowsynth.api.showing import run_html

        return run_html(self)

    @property
    def ok(self) -> bool:
        """Whether no node failed."""
        return not any(run.failed for run in self._runs.values())

    @property
    def exit_code(self) -> int:
        """0 done; 2 where all that failed was asked for wrongly (a file that is no video); else 1."""
        codes = {run.exit_code for run in self._runs.values() if run.failed}
        return 0 if self.ok else 2 if codes == {2} else 1

    @cached_property
    def summary(self) -> RunRecord:
        """The record but for its nodes and those of its graph: what is little, however large the graph."""
        record = _summary(self.plan, self._runs)
        record.peak_rss_bytes, record.seconds = self._rss, self.seconds
        record.saved = sum(run.clock.saved for run in self._runs.values())
        record.notes = [*self.notes, *self._cache.said()]
        record.request = self.graph.request
        record.started = (self._ended - timedelta(seconds=self.seconds)).isoformat(timespec="milliseconds")
        record.ended = self._ended.isoformat(timespec="milliseconds")
        return record

    @cached_property
    def record(self) -> RunRecord:
        """What `run.json` holds."""
        return self.summary.model_copy(update={"graph": to_spec(self.graph), "nodes": dict(self._nodes())})

    def _nodes(self) -> Iterator[tuple[str, NodeRecord]]:
        for name, run in self._runs.items():
            with devices_of(self.facts) if run.step.models else contextlib.nullcontext():
                made = _node_record(run, self.graph.models)
            _add_times(made, run.clock.since(self._over - self.seconds))
            made.changed = self._changed(run)
            if name in self.shares:
                made.jobs = self.shares[name]
            yield name, made

    def _changed(self, run: StepRun) -> list[str]:
        """Which parts of a node's key are others than when this graph was last run."""
        before = self.plan.last_keys.get(run.name, "")
        if not before or before == run.key:
            return []
        rows = self._cache.lookup(before), self._cache.lookup(run.key)
        old, new = (Trace.from_bytes(row) if row is not None else None for row in rows)
        if old is None or new is None:
            return []
        return differences(old.reasons(), new.reasons(), run.step)[:MOST_CHANGES]

    def __getitem__(self, name: Name) -> Any:
        """The value of a node's output.

        Raises:
            KeyError: no such output in this run.
            RunError: the node failed, or its value was not kept (it was not asked for).
        """
        edge = self._edge(name)
        run = self._runs[edge.node]
        if run.outputs is None:
            raise RunError(run.failed or f"{edge.node}: skipped, since an input failed")
        if edge.port not in run.outputs:
            raise KeyError(f"{edge.node} has no output {edge.port!r}")
        ref = run.outputs[edge.port]
        return ref.value if isinstance(ref, JsonRef) else self._load(run, edge)

    def plain_values(self) -> dict[tuple[str, str], Any]:
        """(node, port) -> value of every output that is JSON, delivered or not."""
        return {
            (name, port): ref.value
            for name, run in self._runs.items()
            for port, ref in (run.outputs or {}).items()
            if isinstance(ref, JsonRef)
        }

    def _edge(self, name: Name) -> Edge:
        found = name._edge if isinstance(name, Handle) else self.graph.named(name)
        if not isinstance(found, Edge) or found.node not in self._runs:
            raise KeyError(f"no node {str(name)!r} in this run{did_you_mean(str(name), self._runs)}")
        ports = self._runs[found.node].step.ports.outputs
        return (
            found
            if found.port != DEFAULT_OUTPUT or found.port in ports
            else Edge(found.node, next(iter(ports)))
        )

    def _load(self, run: StepRun, edge: Edge) -> Any:
        from flowsynth.executors.fetch import load_output

        value = load_output(run, edge.port, self._cache, self._shelf)
        if value is None:
            gone = "its value has been evicted from the cache, or lost, since; run it again"
            never = f"its value was not kept; ask for it with outputs=[{str(edge)!r}] or cache: always"
            raise RunError(f"{edge}: {gone if edge.port in run.step.wanted else never}")
        return value

    def write(self, folder: Path | str) -> None:
        """Write the outputs and `run.json` into a folder.

        A file of an earlier run stays, where it differs in nothing but when it was made.

        Raises:
            RunError: the folder cannot be written to.
        """
        self.output_dir = Path(folder).absolute()
        outputs: dict[str, Any] = {}
        tidy(self.output_dir)
        stems = file_stems([str(edge) for edge in self.plan.wanted])
        delivered = Delivered(self._cache)
        for edge in self.plan.wanted:
            refs = self._runs[edge.node].outputs
            if refs is None:
                continue
            name, ref = str(edge), refs[edge.port]
            if isinstance(ref, JsonRef):
                outputs[name] = ref.value
                continue
            told = f"{stems[name]} {self._provenances.timeless(name, ref.hash)}"
            found = delivered.find(told, self.output_dir)
            if found is None:
                value = self._load(self._runs[edge.node], edge)
                found = deliver(value, stems[name], self.output_dir, self._provenances.text(name, ref.hash))
                delivered.note(told, self.output_dir, found)
            outputs[name] = found
        self.summary.outputs = outputs
        if "record" in vars(self):
            self.record.outputs = outputs
        self._write_record(self.output_dir / "run.json")

    @cached_property
    def _provenances(self) -> Provenances:
        return Provenances(self.record)

    def _write_record(self, path: Path) -> None:
        """Write `run.json`; by parts, unless all of it is in memory, or something in it is to be hidden."""
        if "record" not in vars(self) and not has_secrets():
            specs = ((name, node_spec(node)) for name, node in self.graph.nodes.items())
            parts = record_parts(self.summary, specs, self._nodes())
            with contextlib.suppress(ValueError):  # a name that is no UTF-8
                write_atomic(path, (part.encode() for part in parts))
                return
        write_atomic(path, [self.record.to_json().encode()])

    @property
    def main_output(self) -> Path | None:
        """The file of the first output that became one."""
        for edge in self.plan.wanted:
            value = self.summary.outputs.get(str(edge))
            if isinstance(value, str) and self.output_dir is not None and (self.output_dir / value).is_file():
                return self.output_dir / value
        return None


def _summary(plan: Plan, runs: Mapping[str, StepRun]) -> RunRecord:
    failed = [run.failed for run in runs.values() if run.failed]
    incomplete = any(run.outputs is None or run.cut for run in runs.values())
    wanted_ok = all(runs[edge.node].outputs is not None for edge in plan.wanted)
    outputs = {
        str(edge): ref.value
        for edge in plan.wanted
        if isinstance(ref := (runs[edge.node].outputs or {}).get(edge.port), JsonRef)
    }
    return RunRecord(
        status="failed" if failed or (incomplete and not wanted_ok) else "done",
        graph=to_spec(plan.graph, nodes=False),
        nodes={},
        outputs=outputs,
        versions=versions(),
        models={name: dict(spec) for name, spec in plan.graph.models.items()},
        errors=failed,
    )


def _node_record(run: StepRun, models: Mapping[str, Mapping[str, Any]]) -> NodeRecord:
    step = run.step
    outputs = run.outputs or {}
    hits = run.hits if run.expanded else int(run.outputs is not None)
    ended: NodeStatus = "computed" if run.computed else "hit"
    status: NodeStatus = "failed" if run.failed else "skipped" if run.outputs is None or run.cut else ended
    return NodeRecord(
        op=type(step.operator).op,
        params=step.operator.model_dump(mode="json"),
        status=status,
        seconds=run.seconds,
        device=", ".join(sorted(run.devices)) or step.device,
        dtypes=_dtypes(run, models) if step.models else {},
        key=run.key,
        objects={port: ref.hash for port, ref in outputs.items()},
        bytes=sum(ref_bytes(ref) for ref in outputs.values()),
        tasks=TaskCounts(hit=hits, computed=run.computed),
        notes=run.notes,
        error=run.failed or ("an input failed" if run.cut else ""),
        wait=round(run.clock.waited, 4),
        saved=round(run.clock.saved, 4),
        peak_bytes=run.clock.peak_bytes,
    )


def _add_times(record: NodeRecord, busy: dict[str, list[tuple[float, float]]]) -> None:
    """When a node was worked on, in seconds after the run's start."""
    ends = [stretch for stretches in busy.values() for stretch in stretches]
    if ends:
        record.busy = busy
        record.started, record.ended = min(a for a, _ in ends), max(b for _, b in ends)


def _dtypes(run: StepRun, models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Model port -> the dtype of what feeds it, on the node's device; of several models each one's."""
    from flowsynth.models import parse_model

    step = run.step
    found = {
        port: dict.fromkeys(parse_model(name, models[name]).on(step.device).dtype for name in names)
        for port, names in step.models.items()
    }
    return {port: ", ".join(dtypes) for port, dtypes in found.items()}


def versions() -> dict[str, str]:
    """Versions of Python, flowsynth and the libraries, without importing them."""
    found = {name: library_version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "flowsynth": __version__, **found}
