"""A merged sweep leaves of each job what a run of its own does, and makes what jobs share once."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Run
from flowsynth.config import Settings
from flowsynth.core.context import RunContext
from flowsynth.core.errors import CancelledError
from tests.executors.dags import Draw, Plus, random_graph
from tests.streams import Invert, Mean
from tests.sweeps.running import Started, record_of, results, sweep_of


class Tally(fs.Operator):
    """A number."""

    op = "w_tally"
    version = 1
    libraries = ()
    by: int = 1
    fail: bool = False
    kept: bool = True

    def cacheable(self) -> bool:
        return self.kept

    def run(self, ctx: RunContext, /, *, x: int = 0) -> int:
        if self.fail:
            raise ValueError(f"{ctx.node} was asked to fail")
        return x + self.by


def settings_of(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate({"cache": {"dir": folder / "cache"}, **more})


def chain(*steps: Tally) -> Graph:
    graph = Graph("chain")
    before = None
    for i, step in enumerate(steps):
        before = graph.add(f"n{i}", step, x=before)
    return graph


def variants(graph: Graph, rng: random.Random, count: int) -> list[Graph]:
    """Copies of a graph with other params in one or two nodes."""
    changes: dict[type, Any] = {
        Invert: lambda: {"strength": rng.choice([255, 200, 100])},
        Mean: lambda: {"radius": rng.randint(0, 3)},
        Plus: lambda: {"step": rng.randint(0, 3)},
        Draw: lambda: {"count": rng.choice([3, 16])},
    }
    names = [name for name, node in graph.nodes.items() if type(node.operator) in changes]
    found = []
    for _ in range(count):
        made = copy.copy(graph)
        made.nodes = dict(graph.nodes)
        for name in rng.sample(names, min(len(names), rng.randint(1, 2))):
            node = graph.nodes[name]
            update = changes[type(node.operator)]()
            made.nodes[name] = replace(node, operator=node.operator.model_copy(update=update))
        found.append(made)
    return found


@pytest.mark.seeds(3, 100)
def test_random_graphs_leave_what_runs_of_their_own_leave(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    graph, _ = random_graph(seed, tmp_path / "sources")
    jobs = variants(graph, rng, rng.randint(2, 5))
    settings = settings_of(tmp_path, executor=rng.choice(["serial", "threads"]), chunk=rng.choice([4, 16]))
    record = sweep_of(jobs, settings, tmp_path / "sweep")
    assert [row.status for row in record.jobs] == ["done"] * len(jobs)
    for number, job in enumerate(jobs):
        own = tmp_path / f"own{number}"
        job.run(cache_dir=tmp_path / f"c{number}", output_dir=own, chunk=settings.chunk)
        assert results(record_of(tmp_path / "sweep", number)) == results(record_of(own, ""))
        names = {path.relative_to(own) for path in own.rglob("*")}
        folder = tmp_path / "sweep" / str(number)
        assert {path.relative_to(folder) for path in folder.rglob("*")} == names


def test_what_is_shared_is_made_once_per_outer_value(tmp_path: Path) -> None:
    jobs = [chain(Tally(), Tally(by=10 * a), Tally(by=100 * b)) for a in range(1, 5) for b in range(1, 5)]
    started = Started()
    record = sweep_of(jobs, settings_of(tmp_path), tmp_path / "s", started)
    assert len(started.names) == 1 + 4 + 16, sorted(started.names)
    assert [row.outputs["n2"] for row in record.jobs] == [
        1 + 10 * a + 100 * b for a in range(1, 5) for b in range(1, 5)
    ]
    assert {row.shared for row in record.jobs} == {2}
    nodes = record_of(tmp_path / "s", 5)["nodes"]
    assert [nodes[name]["jobs"] for name in ("n0", "n1", "n2")] == [16, 4, 1]
    assert sweep_of(jobs, settings_of(tmp_path), tmp_path / "s", started).jobs[3].tasks.hit == 3
    assert len(started.names) == 21


def test_jobs_that_share_run_together_though_the_cheap_axis_is_the_outer_one(
    tmp_path: Path,
) -> None:
    jobs = [chain(Tally(by=seed), Tally(by=crf)) for crf in (100, 200) for seed in range(30)]
    started = Started()
    sweep_of(jobs, settings_of(tmp_path), tmp_path / "s", started)
    assert len(started.names) == 30 + 60


@pytest.mark.parametrize("how", ["cache: never", "cacheable"])
def test_what_cannot_be_kept_is_made_for_each_job(tmp_path: Path, how: str) -> None:
    jobs = [chain(Tally(kept=how != "cacheable"), Tally(by=10)) for _ in range(3)]
    if how == "cache: never":
        for job in jobs:
            job.nodes["n0"] = replace(job.nodes["n0"], cache="never")
    started = Started()
    sweep_of(jobs, settings_of(tmp_path), tmp_path / "s", started)
    assert len(started.names) == 3 + 1, "what they give is the same, so what reads it is a hit"


def test_a_job_that_fails_leaves_the_rest_alone_and_names_its_own_node(tmp_path: Path) -> None:
    jobs = [chain(Tally(), Tally(by=10, fail=job == 1), Tally(by=job)) for job in range(3)]
    record = sweep_of(jobs, settings_of(tmp_path), tmp_path / "s")
    assert [row.status for row in record.jobs] == ["done", "failed", "done"]
    assert record.jobs[1].errors == ["n1: ValueError: n1 was asked to fail"]
    nodes = record_of(tmp_path / "s", 1)["nodes"]
    assert [nodes[name]["status"] for name in nodes] == ["computed", "failed", "skipped"]
    assert (tmp_path / "s" / "sweep.csv").read_text().splitlines()[2].startswith("1,1,,failed")


def test_a_job_that_cannot_be_planned_says_why_and_the_rest_runs(tmp_path: Path) -> None:
    jobs = [random_graph(3, tmp_path / f"s{job}")[0] for job in range(3)]
    for path in (tmp_path / "s1").iterdir():
        path.unlink()
    record = sweep_of(jobs, settings_of(tmp_path), tmp_path / "s")
    assert [row.status for row in record.jobs] == ["done", "failed", "done"]
    assert record.jobs[1].errors[0].startswith("nodes.v0: ")
    assert str(tmp_path / "s1") in record.jobs[1].errors[0]
    assert not (tmp_path / "s" / "1").exists()


class Quit(fs.Operator):
    """Ends the run."""

    op = "w_quit"
    version = 1

    def run(self, ctx: RunContext, /, *, x: int = 0) -> int:
        raise CancelledError("enough")


def test_jobs_of_a_run_that_an_operator_ended_are_no_success(tmp_path: Path) -> None:
    jobs = [chain(Tally(by=job)) for job in (1, 2)]
    jobs[1].add("quit", Quit(), x="n0")
    record = sweep_of(jobs, settings_of(tmp_path, executor="serial"), tmp_path / "s")
    assert [row.job for row in record.jobs] == [0, 1]
    assert record.jobs[1].status == "failed"


def test_what_writing_a_job_raises_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(Run, "write", broken)
    with pytest.raises(ValueError, match="a fault of ours"):
        sweep_of([chain(Tally())], settings_of(tmp_path), tmp_path / "s")


def test_a_model_declared_otherwise_is_another_one(tmp_path: Path) -> None:
    from flowsynth.sweeps.identity import Identities

    identities = Identities(lambda _: True)
    first: dict[str, object] = {"family": "sd", "source": "a"}
    assert identities.model(first) == identities.model(dict(first))
    assert identities.model(first) != identities.model({**first, "source": "b"})
