"""Devices of a sweep: like ones share its jobs, what jobs share is made once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.planning.placement import SIMULATED, inventory, model_budget
from tests.sweeps.running import record_of, sweep_of
from tests.sweeps.test_merge import settings_of


class Doze(fs.Operator):
    """Takes its time on an accelerator."""

    op = "w_doze"
    version = 1
    by: int = 1
    seconds: float = 0.01

    def run(self, ctx: RunContext, /, *, x: int = 0) -> int:
        time.sleep(self.seconds)
        return x + self.by


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two simulated devices that `auto` uses."""
    monkeypatch.setenv(SIMULATED, "1GB,1GB")
    inventory.cache_clear()
    yield
    monkeypatch.undo()
    inventory.cache_clear()


def jobs(count: int, shared: bool = True, seconds: float = 0.01) -> list[fs.Graph]:
    made = []
    for number in range(count):
        graph = fs.Graph("doze")
        first = graph.add("first", Doze(by=7 if shared else 1000 + number, seconds=seconds))
        own = graph.add("own", Doze(by=100 * (number + 1), seconds=seconds), x=first)
        graph.add("second", Doze(by=10 + number, seconds=seconds), x=own)
        made.append(graph)
    return made


def test_two_like_devices_take_turns(tmp_path: Path, two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    record = sweep_of(jobs(4), settings_of(tmp_path), tmp_path / "s")
    devices = [
        {name: node["device"] for name, node in record_of(tmp_path / "s", job)["nodes"].items()}
        for job in range(4)
    ]
    assert {places["first"] for places in devices} == {"sim:0"}
    assert Counter(places["own"] for places in devices) == {"sim:0": 2, "sim:1": 2}
    assert all(places["own"] == places["second"] for places in devices)
    monkeypatch.delenv(SIMULATED)
    inventory.cache_clear()
    again = sweep_of(jobs(4), settings_of(tmp_path), tmp_path / "s")
    assert {row.tasks.hit for row in again.jobs} == {3}, "where it ran is no part of a key"
    assert [row.outputs for row in again.jobs] == [row.outputs for row in record.jobs]


@pytest.mark.slow
def test_two_devices_are_nearly_twice_as_fast(
    tmp_path: Path, two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spent(name: str) -> float:
        start = time.perf_counter()
        sweep_of(jobs(8, shared=False, seconds=0.5), settings_of(tmp_path / name), tmp_path / name / "s")
        return time.perf_counter() - start

    sweep_of(jobs(1), settings_of(tmp_path), tmp_path / "warm")
    both = spent("both")
    monkeypatch.setenv(SIMULATED, "1GB")
    inventory.cache_clear()
    assert spent("one") / both > 1.8


def test_a_device_that_was_asked_for_stays(tmp_path: Path, two: None) -> None:
    graphs = jobs(2)
    sweep_of(graphs, settings_of(tmp_path, device="sim:1"), tmp_path / "s")
    assert {n["device"] for job in (0, 1) for n in record_of(tmp_path / "s", job)["nodes"].values()} == {
        "sim:1"
    }


def test_simulated_devices_have_a_size_or_are_refused(two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(d.name, d.memory) for d in inventory() if d.type == "sim"] == [
        ("sim:0", 1 << 30),
        ("sim:1", 1 << 30),
    ]
    assert model_budget("sim:1") == int(0.8 * (1 << 30))
    assert model_budget("sim:7") is None
    monkeypatch.setenv(SIMULATED, "1GB,big")
    inventory.cache_clear()
    with pytest.raises(RequestError, match=r"FLOWSYNTH_SIM: expected bytes, or a size .* given '1GB,big'"):
        inventory()
