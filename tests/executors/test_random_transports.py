"""Random graphs on random devices, carried out by whoever: bit for bit what one thread makes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from flowsynth.api import Graph, Run, Session
from flowsynth.api.host import Host
from flowsynth.api.station import open_station
from flowsynth.core.events import Observer
from flowsynth.core.options import RunOptions
from flowsynth.executors.engine import Engine
from flowsynth.executors.ray.bench import Bench
from flowsynth.executors.ray.setup import plain
from flowsynth.planning.placement import inventory
from tests.executors.answering import another_process, elsewhere
from tests.executors.dags import random_graph
from tests.executors.lives import identity
from tests.executors.ray.test_bench import SETUP, AtBench
from tests.executors.test_orders import run_elsewhere

pytestmark = pytest.mark.seeds(3, 200)


@pytest.fixture(scope="module")
def line() -> Iterator[Connection]:
    """To a process that answers orders on the same cache folder."""
    with another_process() as line:
        yield line


@pytest.fixture
def devices(seed: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """None, one or several simulated devices that `auto` may use, alike or not."""
    sizes = random.Random(seed + 7000).choice(["", "8GB", "8GB,8GB", "8GB,8GB,8GB", "4GB,8GB"])
    monkeypatch.setenv("FLOWSYNTH_SIM", sizes)
    inventory.cache_clear()
    yield
    inventory.cache_clear()


def by_worker(g: Graph, folder: Path, chunk: int, executor: str) -> Run:
    """By a worker with a cache of its own, as a Ray node has one: objects travel by hash."""
    bench = Bench(plain(SETUP), open_station, str(folder / "worker"))
    try:
        with Session(folder / "driver") as session:
            host, options = Host(session, g.models), RunOptions(chunk=chunk, executor=executor)
            crew = AtBench(bench, session)
            engine = Engine(session.plan(g), session.cache, host, options, Observer(), crew=lambda _: crew)
            return Run(engine.plan, engine.run(), session.cache, engine.shelf)
    finally:
        bench.close()


def test_any_devices_and_transport_give_the_same_bytes(
    seed: int, devices: None, line: Connection, tmp_path: Path
) -> None:
    rng = random.Random(seed + 9000)
    g, values = random_graph(seed, tmp_path)
    serial = g.run(cache_dir=tmp_path / "serial", device="cpu", chunk=rng.choice([3, 8, 16]))
    chunk, transport = rng.choice([1, 3, 8, 16]), ["threads", "process", "worker"][seed % 3]
    executor = rng.choice(["serial", "threads"])
    if transport == "threads":
        run = g.run(cache_dir=tmp_path / "other", executor="threads", workers=rng.randint(1, 3), chunk=chunk)
    elif transport == "process":
        with elsewhere(line, tmp_path / "other") as other:
            run = run_elsewhere(g, tmp_path / "other", other, executor=executor, chunk=chunk)
    else:
        run = by_worker(g, tmp_path, chunk, executor)
    assert run.record.status == serial.record.status == "done"
    for name, node in serial.record.nodes.items():
        assert run.record.nodes[name].objects == node.objects, name
    for edge in g.wanted():
        name = f"{edge.node}.{edge.port}"
        assert identity(run[name]) == identity(serial[name]) == identity(values[name]), name
