"""What a worker does with an order, and what nodes say of themselves: without Ray, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from flowsynth.api import Graph, Session
from flowsynth.api.host import Host
from flowsynth.api.station import open_station
from flowsynth.cache.errors import FormatError
from flowsynth.core.devices import PRECISION_VARIABLE, Facts, auto_precision, device_arch, devices_of
from flowsynth.core.errors import RequestError
from flowsynth.core.events import Observer
from flowsynth.core.graph import Handle
from flowsynth.core.keys import numerics
from flowsynth.core.options import RunOptions
from flowsynth.core.refs import objects_of
from flowsynth.executors.engine import Engine
from flowsynth.executors.expand import IO_LANE
from flowsynth.executors.order import Order, Outcome
from flowsynth.executors.ray.bench import Bench, model_bytes
from flowsynth.executors.ray.depot import Depot, object_array
from flowsynth.executors.ray.own import Module, import_modules, own_modules
from flowsynth.executors.ray.setup import Hello, Setup, differences, plain, specs_of
from flowsynth.executors.seats import Seat
from flowsynth.operators.diffusion.denoise import Denoise
from tests.executors.dags import Plus
from tests.executors.ray.napping import Nap
from tests.streams import Counter, Invert, Sum, write_source

SETUP = Setup("/nowhere", "n", "own", True, None, None)


class AtBench:
    """Sends all orders to a bench with a cache of its own, and brings objects as Ray would."""

    local = False

    def __init__(self, bench: Bench, session: Session) -> None:
        self.bench, self.session = bench, session
        self.orders: list[Order] = []

    def seats(self, lanes: Sequence[str], workers: int | None) -> list[Seat]:
        return [Seat(lane, lane, self.perform) for lane in [*lanes, IO_LANE]]

    def more(self) -> list[Seat]:
        return []

    def resident(self, place: str, names: Sequence[str]) -> bool:
        return False

    def perform(self, order: Order) -> Outcome:
        self.orders.append(order)
        origins = {name: object_array(self.session.cache, name) for name in order.objects()}
        data, _ = self.bench.perform(order.to_bytes(), {n: a for n, a in origins.items() if a is not None})
        outcome = Outcome.from_bytes(data)
        for name in (name for ref in outcome.refs.values() for name in objects_of(ref)):
            made = object_array(self.bench._station.cache, name)
            assert made is not None
            assert self.session.cache.take_in(name, made.data)
        return outcome


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(plain(SETUP), open_station, str(tmp_path / "there"))
    yield made
    made.close()


def counted(folder: Path) -> Graph:
    g = Graph("counted")
    g.add("total", Sum(), frames=g.add("inverse", Invert(), frames=source(g, folder)))
    return g


def source(g: Graph, folder: Path) -> Handle:
    return g.add("clip", Counter(path=write_source(folder / "s.txt", range(20))))


def run_at(bench: Bench, g: Graph, folder: Path) -> tuple[dict[str, str], AtBench]:
    """What became of every node, and who was asked."""
    with Session(folder / "here") as session:
        crew = AtBench(bench, session)
        engine = Engine(
            session.plan(g),
            session.cache,
            Host(session, g.models),
            RunOptions(),
            Observer(),
            crew=lambda _: crew,
        )
        return {name: run.failed or "done" for name, run in engine.run().items()}, crew


def test_a_worker_with_other_code_refuses_the_order(bench: Bench, tmp_path: Path) -> None:
    done, crew = run_at(bench, counted(tmp_path), tmp_path)
    assert done == {"clip": "done", "inverse": "done", "total": "done"}
    first = crew.orders[0]
    other = replace(first, identity={**first.identity, "source": "another"})
    refused = Outcome.from_bytes(bench.perform(other.to_bytes(), {})[0])
    assert "not the same code of its operator at the worker as at the driver" in refused.failed
    assert not Outcome.from_bytes(bench.perform(first.to_bytes(), {})[0]).failed


def test_a_file_that_differs_at_the_worker_fails_the_node(bench: Bench, tmp_path: Path) -> None:
    _, crew = run_at(bench, counted(tmp_path), tmp_path)
    first = crew.orders[0]
    write_source(tmp_path / "s.txt", range(5, 25))
    again = Outcome.from_bytes(bench.perform(first.to_bytes(), {})[0])
    assert "clip" in again.failed


def test_objects_travel_by_name_and_are_checked_when_they_land(tmp_path: Path) -> None:
    counted(tmp_path).run(cache_dir=tmp_path / "one", outputs=["inverse"])
    with Session(tmp_path / "one") as one, Session(tmp_path / "two") as two:
        for info in one.cache.ls():
            data = object_array(one.cache, info.key)
            assert data is not None
            assert two.cache.take_in(info.key, data.data)
            assert two.cache.get_object(info.key) is not None
            damaged = data.copy()
            damaged[-1] ^= 1
            with Session(tmp_path / "three") as three:
                with pytest.raises(FormatError, match="checksum"):
                    three.cache.take_in(info.key, damaged.data)
                assert not three.cache.has_object(info.key)
        assert two.cache.verify() == []


def test_a_depot_says_what_its_node_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWSYNTH_CACHE", str(tmp_path / "own"))
    (tmp_path / "driver" / "tmp").mkdir(parents=True)
    (tmp_path / "driver" / "tmp" / "nonce").touch()
    setup = replace(SETUP, root=str(tmp_path / "driver"), nonce="nonce")
    own = Depot(plain(setup)).hello()
    assert isinstance(own, Hello)
    assert (own.folder, own.shared) == (str(tmp_path / "own"), False)
    seen = Depot(plain(replace(setup, cache="auto"))).hello()
    assert isinstance(seen, Hello)
    assert (seen.folder, seen.shared) == (str(tmp_path / "driver"), True)
    refused = Depot(plain(replace(setup, cache="shared", nonce="other"))).hello()
    assert isinstance(refused, str)
    assert refused.startswith("ray.cache: the driver's cache")
    assert differences({"a": own, "b": seen}) == []


def test_what_differs_is_said_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWSYNTH_CACHE", str(tmp_path / "own"))
    hello = Depot(plain(SETUP)).hello()
    assert isinstance(hello, Hello)
    old = hello._replace(versions={**hello.versions, "torch": "1.9"})
    assert len(differences({"old": old, "same": hello})) == 1
    assert differences({"old": old})[0].startswith("old has torch 1.9; expected torch ")
    cpu = hello.facts["cpu"]
    other = hello._replace(facts={"cpu": Facts("sparc", not cpu.bfloat16)})
    assert "would differ in their last bits" in differences({"a": hello, "b": other})[0]
    small = hello._replace(devices=[("cuda:0", 10, "sm_90"), ("cpu", 5, "x")])
    large = hello._replace(devices=[("cuda:0", 20, "sm_90")])
    assert {d.name: d.memory for d in specs_of([large, small])} == {"cuda:0": 10, "cpu": 5}


def test_keys_are_those_of_the_devices_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRECISION_VARIABLE, raising=False)
    here = numerics(Denoise, "cpu")
    with devices_of({"cuda:0": Facts("sm_90", False), "cpu": Facts("sparc", True)}):
        assert device_arch("cuda:0") == device_arch("cuda") == "sm_90"
        assert "sparc" in numerics(Denoise, "cpu")
        assert "sm_90" in numerics(Denoise, "cuda:0")
        assert auto_precision("sim:3") == "bfloat16"
    assert numerics(Denoise, "cpu") == here


def test_the_memory_of_a_machine_is_divided_among_its_workers() -> None:
    assert model_bytes(SETUP) is None
    assert model_bytes(replace(SETUP, model_bytes=90)) == 90
    assert model_bytes(replace(SETUP, model_bytes=90, share=3)) == 30
    half, whole = model_bytes(replace(SETUP, share=4)), model_bytes(replace(SETUP, share=2))
    assert half is not None
    assert whole is not None
    assert abs(whole - 2 * half) <= 2


def test_own_operators_are_imported_never_sent(tmp_path: Path) -> None:
    assert own_modules([Denoise]) == []
    assert [module.name for module in own_modules([Nap, Plus])] == [Nap.__module__, Plus.__module__]
    script = type("Script", (Plus,), {"__module__": "__main__"})
    with pytest.raises(RequestError, match=r"script or notebook.*--operators.*entry-point group"):
        own_modules([script])
    path = tmp_path / "elsewhere_ops.py"
    path.write_text("X = 1\n")
    with pytest.raises(RequestError, match=r"there is another .*elsewhere_ops.py at the worker"):
        import_modules([Module("o", "elsewhere_ops", str(path), "0" * 64)])
    with pytest.raises(RequestError, match=r"there is no .*gone.py at the worker"):
        import_modules([Module("o", "gone_ops", str(tmp_path / "gone.py"), "0" * 64)])


def test_ray_is_asked_for_by_name(tmp_path: Path) -> None:
    from flowsynth.core.errors import GraphError

    with pytest.raises(GraphError, match=r"ray_address.*expected local, auto, HOST:PORT or ray://HOST:PORT"):
        Graph("g").run(cache_dir=tmp_path, executor="ray", ray_address="here or there")
    g = Graph("g")
    g.add("n", Plus())
    with Session(tmp_path) as session, pytest.raises(RequestError, match="'ray' is a session's own"):
        g.run(session=session, executor="ray")
