"""Several devices at once: a stream's chunks spread over those that are alike, and none waits for a disk."""

from __future__ import annotations

import threading
import time
from collections import Counter as Count
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Run
from flowsynth.cache.store import Cache
from flowsynth.core.context import RunContext
from flowsynth.core.graph import Handle
from flowsynth.core.streams import Map, Scan, StreamKind
from flowsynth.executors import perform
from flowsynth.executors.order import Order
from flowsynth.planning.placement import DeviceSpec, inventory, others, place
from flowsynth.values import Frames
from tests.executors.lives import identity
from tests.streams import Counter, Sum, write_source


class Sleeps(fs.Operator):
    """A map that takes its time."""

    op = "t_sleeps"
    version = 1
    seconds: float = 0.05
    number: int = 0

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        time.sleep(self.seconds)
        return frames.with_data(255 - frames.tensor)


class Along(fs.Operator):
    """A scan: one chunk after the other."""

    op = "t_along"
    version = 1

    def stream(self) -> StreamKind:
        return Scan()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        ctx.state = frames.slice(0, 1)
        return frames.with_data(frames.tensor)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two simulated devices that `auto` may use."""
    monkeypatch.setenv("FLOWSYNTH_SIM", "8GB,8GB")
    inventory.cache_clear()
    yield
    inventory.cache_clear()


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, float, float]]:
    """(node, device, begun, ended) of everything that was computed."""
    seen: list[tuple[str, str, float, float]] = []
    real, lock = perform.call, threading.Lock()

    def call(order: Order, context: RunContext, inputs: dict[str, object]) -> dict[str, object]:
        begun = time.monotonic()
        try:
            return real(order, context, inputs)
        finally:
            with lock:
                seen.append((order.node, order.device, begun, time.monotonic()))

    monkeypatch.setattr(perform, "call", call)
    return seen


def stream(folder: Path, chunks: int = 12) -> tuple[Graph, Handle]:
    g = Graph("stream")
    return g, g.add("clip", Counter(path=write_source(folder / "s.txt", range(4 * chunks))))


def run(g: Graph, folder: Path, executor: str = "threads") -> Run:
    return g.run(cache_dir=folder, executor=executor, chunk=4)


def test_chunks_of_one_stream_spread_over_two_devices(
    two: None, orders: list[tuple[str, str, float, float]], tmp_path: Path
) -> None:
    g, clip = stream(tmp_path)
    slow = g.add("slow", Sleeps(), frames=clip)
    along = g.add("along", Along(), frames=slow)
    g.add("total", Sum(), frames=along)
    g.outputs = ["along", "total"]
    run(g, tmp_path / "alone", "serial")
    assert {device for node, device, _, _ in orders if node == "slow"} == {"sim:0"}
    orders.clear()
    spread = run(g, tmp_path / "spread")
    counts = Count(device for node, device, _, _ in orders if node == "slow")
    assert set(counts) == {"sim:0", "sim:1"}
    assert min(counts.values()) >= 3
    assert {device for node, device, _, _ in orders if node == "along"} == {"sim:0"}, (
        "each needs the one before"
    )
    assert spread.record.nodes["slow"].device == "sim:0, sim:1"
    again = run(g, tmp_path / "alone")
    statuses = {name: node.status for name, node in again.record.nodes.items()}
    assert statuses == dict.fromkeys(g.nodes, "hit"), [node.notes for node in again.record.nodes.values()]
    for name in g.outputs:
        assert identity(spread[name]) == identity(again[name])


def span(orders: list[tuple[str, str, float, float]]) -> float:
    """Seconds from the first sleep's begin to the last one's end; what is seen is forgotten."""
    slow = [order for order in orders if order[0] == "slow"]
    orders.clear()
    return max(order[3] for order in slow) - min(order[2] for order in slow)


@pytest.mark.parametrize("least", [1.3, pytest.param(1.8, marks=pytest.mark.slow)])
def test_two_devices_are_nearly_twice_as_fast(
    least: float,
    two: None,
    orders: list[tuple[str, str, float, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By wall time of sleeping work, beside what else runs: one stream's chunks, which all say `auto`."""
    g, clip = stream(tmp_path, 12)
    g.add("slow", Sleeps(seconds=0.2), frames=clip)
    run(g, tmp_path / "both")
    both = span(orders)
    monkeypatch.setenv("FLOWSYNTH_SIM", "8GB")
    inventory.cache_clear()
    run(g, tmp_path / "one")
    assert span(orders) / both >= least


@pytest.mark.parametrize(("room", "name"), [(Cache, "put_object"), (perform, "references")])
def test_one_computes_at_a_device_while_another_puts_away(
    room: object,
    name: str,
    two: None,
    orders: list[tuple[str, str, float, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk, or hashing, as slow as the device: most of it happens while the device works."""
    real, away = getattr(room, name), []

    def slow(*args: object) -> object:
        begun = time.monotonic()
        time.sleep(0.1)
        away.append((begun, time.monotonic()))
        return real(*args)

    g, clip = stream(tmp_path)
    g.add("slow", Sleeps(seconds=0.1), frames=clip, device="sim:0", cache="always")
    run(g, tmp_path / "cache")  # the clip is a hit below
    orders.clear()
    other, clip = stream(tmp_path)
    other.add("slow", Sleeps(seconds=0.1, number=1), frames=clip, device="sim:0", cache="always")
    monkeypatch.setattr(room, name, slow)
    run(other, tmp_path / "cache")
    ordered = sorted((order for order in orders if order[1] == "sim:0"), key=lambda order: order[2])
    for (_, _, _, ended), (_, _, began, _) in pairwise(ordered):
        assert began >= ended, "the device does one thing at a time"
    beside = [one for one in away if any(began < one[1] and ended > one[0] for *_, began, ended in ordered)]
    assert len(beside) >= 6, f"{len(beside)} of {len(away)} while the device worked"


SIX = [DeviceSpec(f"cuda:{i}", 24 << 30, "sm_90") for i in range(2)] + [
    DeviceSpec("cuda:2", 24 << 30, "sm_80"),
    DeviceSpec("cuda:3", 8 << 30, "sm_90"),
    DeviceSpec("cpu", 64 << 30, "x86_64"),
]


def test_only_devices_that_are_alike_help_out(tmp_path: Path) -> None:
    g, clip = stream(tmp_path)
    slow = g.add("slow", Sleeps(), frames=clip)
    g.add("named", Sleeps(), frames=slow, device="cuda:0")
    places = place(g, devices=SIX)
    assert places == {"clip": "cpu", "slow": "cuda:0", "named": "cuda:0"}
    assert others(g, places, devices=SIX)["slow"] == ("cuda:1",)
    assert "named" not in others(g, places, devices=SIX)
    assert others(g, place(g, "cuda:1", SIX), "cuda:1", SIX) == {}


def test_what_reads_and_encodes_files_stays_off_the_devices() -> None:
    g = fs.compose("toon")
    places = place(g, devices=SIX)
    on_cpu = {type(g.nodes[name].operator).op for name, device in places.items() if device == "cpu"}
    assert {"read_video", "encode_video"} <= on_cpu
    assert "denoise" not in on_cpu
