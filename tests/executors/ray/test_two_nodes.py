"""Two nodes of a real Ray cluster on loopback, with separate caches: the same bytes, whoever is killed."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Run, RunFailedError, Session
from flowsynth.core.errors import RequestError
from flowsynth.core.events import Observer
from tests.executors.dags import Plus, random_graph
from tests.executors.lives import identity
from tests.executors.ray.cluster import TwoNodes, two_nodes
from tests.executors.ray.napping import Dies, Nap, Trail
from tests.executors.test_orders import every_kind, same
from tests.streams import Counter, Sum, write_source

pytest.importorskip("ray", reason="executor=ray needs the package ray: pip install 'flowsynth-engine[ray]'")

pytestmark = [
    pytest.mark.slow,  # a cluster takes ten CPU seconds to start, each worker four
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    with two_nodes(tmp_path_factory.mktemp("nodes")) as made:
        yield made


@pytest.fixture(scope="module")
def session(two: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("driver")
    with Session(folder, executor="ray", ray_address=two.address, ray_cache="own") as made:
        yield made


def napping(folder: Path, seconds: float, count: int = 12) -> tuple[Graph, Path]:
    """A stream whose chunks take their time, and the folder where these leave their processes' ids."""
    seen = folder / "seen"
    seen.mkdir()
    g = Graph("napping")
    clip = g.add("clip", Counter(path=write_source(folder / "s.txt", range(4 * count))))
    nap = g.add("nap", Nap(seconds=seconds, folder=str(seen)), frames=clip)
    trail = g.add("trail", Trail(), frames=nap)
    g.add("total", Sum(), frames=trail)
    g.outputs = ["trail", "total"]
    return g, seen


def locally(g: Graph, folder: Path) -> Run:
    quick = Graph.from_dict(g.to_dict())
    return quick.run(cache_dir=folder / "here", chunk=4)


def soon(what: Callable[[], bool], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes(seen: Path) -> set[int]:
    return {int(path.name.partition(".")[2]) for path in seen.iterdir()}


def test_every_kind_of_task_gives_the_same_bytes(session: Session, tmp_path: Path) -> None:
    g = every_kind(write_source(tmp_path / "s.txt", range(40)))
    here = g.run(cache_dir=tmp_path / "here", chunk=7)
    there = g.run(session=session, chunk=7)
    same(there, here, g.outputs)
    # The driver's cache has all that a run here would have kept: without the nodes these are hits.
    again = g.run(cache_dir=session.root, chunk=7)
    assert {node.status for node in again.record.nodes.values()} == {"hit"}
    same(again, here, g.outputs)


def test_the_default_graph_gives_the_same_bytes(session: Session, tmp_path: Path) -> None:
    g = fs.compose("toon", ["frames=6", "short_side=96", "steps=2"])
    here = g.run(cache_dir=tmp_path / "here")
    there = g.run(session=session)
    assert "computed" in {node.status for node in there.record.nodes.values()}
    assert {n: node.objects for n, node in there.record.nodes.items()} == {
        n: node.objects for n, node in here.record.nodes.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_with_objects_lost_between(session: Session, tmp_path: Path, seed: int) -> None:
    g, values = random_graph(seed, tmp_path)
    for _ in range(2):
        run = g.run(session=session, chunk=8)
        for edge in g.wanted():
            name = f"{edge.node}.{edge.port}"
            assert identity(run[name]) == identity(values[name]), name
        for path in sorted(p for p in (session.root / "objects").rglob("*") if p.is_file())[::2]:
            path.unlink()


def test_a_worker_killed_in_the_middle_is_replaced(
    two: TwoNodes, session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    g, seen = napping(tmp_path, 0.3)

    def kill() -> None:
        soon(lambda: len(list(seen.iterdir())) >= 3)
        os.kill(sorted(processes(seen))[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level(logging.WARNING):
        run = g.run(session=session, chunk=4)
    killer.join()
    assert len(processes(seen)) == 3, "two nodes, and the one that took the dead one's place"
    same(run, locally(g, tmp_path), g.outputs)
    assert "died while it ran" in caplog.text
    for folder in two.folders:
        assert any((folder / "objects").rglob("*")), "each node has a cache of its own"


def test_a_task_that_kills_its_workers_fails(session: Session, tmp_path: Path) -> None:
    (tmp_path / "deaths").mkdir()
    g = Graph("dies")
    g.add("once", Dies(folder=str(tmp_path / "deaths")))
    assert g.run(session=session)["once"] == 1
    (tmp_path / "more").mkdir()
    g = Graph("dies")
    g.add("dies", Dies(folder=str(tmp_path / "more"), times=99))
    g.add("well", Plus())
    with pytest.raises(RunFailedError, match="dies: 3 workers died while they ran it") as failed:
        g.run(session=session)
    assert failed.value.run.record.nodes["well"].status == "computed"


def test_progress_and_cancelling(session: Session, tmp_path: Path) -> None:
    g, _ = napping(tmp_path, 60.0)
    heard: list[tuple[str, int]] = []

    class Stops(Observer):
        def node_progress(self, node: str, step: int, total: int) -> None:
            heard.append((node, step))
            raise KeyboardInterrupt  # as Ctrl-C at the driver would

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        g.run(session=session, chunk=4, observer=Stops())
    assert time.monotonic() - begun < 30
    assert heard[0][0] == "nap"
    quick = Graph("quick")
    quick.add("n", Plus(step=4))
    assert quick.run(session=session)["n"] == 4
    assert time.monotonic() - begun < 50, "the workers are free again"


def test_what_cannot_be_had_is_one_message(two: TwoNodes, tmp_path: Path) -> None:
    g = Graph("g")
    g.add("n", Plus(step=7))
    hidden = Session(tmp_path, executor="ray", ray_address=two.address, ray_cache="shared")
    assert hidden.staff is not None
    hidden.staff.cluster._nonce = tmp_path / "elsewhere"  # as if the folder were another one there
    with hidden, pytest.raises(RequestError, match=r"ray\.cache: the driver's cache .* is not seen"):
        g.run(session=hidden)
    with Session(tmp_path, executor="ray", ray_address=two.address) as shared:
        assert g.run(session=shared)["n"] == 7


def test_a_node_killed_in_the_middle_is_done_without(
    two: TwoNodes, session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last of them here: it takes a node away."""
    g, seen = napping(tmp_path, 0.3, count=16)

    def kill() -> None:
        soon(lambda: len(list(seen.iterdir())) >= 5)
        two.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run = g.run(session=session, chunk=4)
    killer.join()
    same(run, locally(g, tmp_path), g.outputs)
    two.add()
    (tmp_path / "more").mkdir()
    more, _ = napping(tmp_path / "more", 0.5, count=40)
    again = more.run(session=session, chunk=4)
    same(again, locally(more, tmp_path / "more"), more.outputs)
    assert session.staff is not None
    assert len(session.staff.cluster.alive) == 2, "the node that joined takes part"
