"""Random graphs: however they are run, whatever happened to the cache, they give what plain calls give."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flowsynth.api import Graph, Run
from flowsynth.cache.store import Cache
from tests.executors import dags
from tests.executors.dags import random_graph
from tests.executors.lives import identity

pytestmark = pytest.mark.seeds(2, 200)


class Case:
    """A random graph, what it should give, and a way of running it."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed + 1000)
        self.folder = folder
        self.graph, values = random_graph(seed, folder)
        self.expected = {name: identity(value) for name, value in values.items()}
        leaves = [str(edge) if edge.port != "out" else f"{edge.node}.out" for edge in self.graph.wanted()]
        some = self.rng.sample(sorted(values), k=min(3, len(values)))
        self.outputs = sorted({*some, *leaves})

    def run(self, cache: str, executor: str, check: bool = True, max_bytes: int | None = None) -> Run:
        """Run it and compare every output that there is with the plain calls'."""
        chunk = self.rng.choice([1, 3, 8, 16, 64])
        run = self.graph.run(
            cache_dir=self.folder / cache,
            executor=executor,
            outputs=self.outputs,
            chunk=chunk,
            check=check,
            max_bytes=max_bytes,
        )
        for name in self.outputs:
            if run.record.nodes[name.partition(".")[0]].status in ("hit", "computed"):
                assert identity(run[name]) == self.expected[name], name
        for name, node in run.record.nodes.items():
            for port, hash_ in node.objects.items():
                assert hash_ == self.expected[f"{name}.{port}"], f"{name}.{port}"
        return run

    def run_with_faults(self, executor: str, most: int) -> tuple[Run, set[str]]:
        """Run it while one to so many nodes raise; returns these too."""
        able = [n for n, node in self.graph.nodes.items() if type(node.operator).__module__ == dags.__name__]
        broken = set(self.rng.sample(able, k=min(len(able), self.rng.randint(1, most))))
        with dags.breaking(*broken):
            return self.run("cache", executor, check=False), broken

    def some_objects(self, cache: str) -> list[Path]:
        paths = sorted(path for path in (self.folder / cache / "objects").rglob("*") if path.is_file())
        return self.rng.sample(paths, k=len(paths) // 2 + 1) if paths else []


@pytest.fixture
def case(seed: int, tmp_path: Path) -> Case:
    return Case(seed, tmp_path)


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_cold_and_warm(case: Case, executor: str) -> None:
    cold = case.run("cache", executor)
    assert {node.status for node in cold.record.nodes.values()} <= {"computed", "hit"}
    warm = case.run("cache", executor)
    if all(node.cache != "never" for node in case.graph.nodes.values()):
        assert {node.status for node in warm.record.nodes.values()} == {"hit"}
    other = case.run("cache", "threads" if executor == "serial" else "serial")
    assert other.record.status == "done"


def test_after_objects_were_lost_or_damaged(case: Case) -> None:
    case.run("cache", "serial")
    for executor in ("serial", "threads"):
        for path in case.some_objects("cache"):
            path.unlink()
        case.run("cache", executor)
        for path in case.some_objects("cache"):
            data = bytearray(path.read_bytes())
            data[case.rng.randrange(len(data))] ^= 1 << case.rng.randrange(8)
            path.write_bytes(data)
        case.run("cache", executor)
    with Cache(case.folder / "cache") as cache:
        cache.verify()
    case.run("cache", "serial")


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_under_budgets_that_hold_little(case: Case, executor: str) -> None:
    """What finds no room waits in memory, or is made again: the results stay."""
    for max_bytes in (3_000, 20_000, None, 1_000):
        assert case.run("cache", executor, max_bytes=max_bytes).record.status == "done"
        for path in case.some_objects("cache"):
            path.unlink()


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_nodes_fail_that_must_make_lost_objects_again(case: Case, executor: str) -> None:
    case.run("cache", executor)
    for _ in range(3):
        for path in case.some_objects("cache"):
            path.unlink()
        run, broken = case.run_with_faults(executor, 3)
        below = descendants(case.graph, broken)
        for name, node in run.record.nodes.items():
            assert node.status != "failed" or name in below
            assert node.status != "failed" or "broken" in node.error or "made again" in node.error
    assert case.run("cache", executor).record.status == "done"


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_after_failures(case: Case, executor: str) -> None:
    for _ in range(2):
        run, broken = case.run_with_faults(executor, 2)
        below = descendants(case.graph, broken)
        for name, node in run.record.nodes.items():
            if node.status in ("failed", "skipped"):
                assert name in below or node.status == "skipped"
                assert node.status == "failed" or name in below or only_for(case.graph, name, below, run)
            if name in broken and node.status == "failed":
                assert "broken" in node.error
    done = case.run("cache", executor)
    assert done.record.status == "done"


def descendants(graph: Graph, names: set[str]) -> set[str]:
    found = set(names)
    for name, node in graph.nodes.items():  # they were added upstream first
        if any(edge.node in found for _, edge in node.edges()):
            found.add(name)
    return found


def only_for(graph: Graph, name: str, below: set[str], run: Run) -> bool:
    """Whether everybody who reads a node (in this run) lies below a failure."""
    readers = [
        n.name
        for n in graph.nodes.values()
        if n.name in run.record.nodes and any(e.node == name for _, e in n.edges())
    ]
    return all(r in below or run.record.nodes[r].status == "skipped" for r in readers)
