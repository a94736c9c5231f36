"""A device without room: once more with nothing else loaded, then one message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, RunFailedError
from flowsynth.core.context import RunContext
from flowsynth.core.errors import DeviceMemoryError
from flowsynth.executors.memory import is_out_of_memory
from flowsynth.models.manager import ModelManager, manager_of
from flowsynth.planning.placement import inventory
from flowsynth.values import Tensors

MB = 1 << 20


class Fills(fs.Operator):
    """Loads a part of some megabytes and holds it while it runs; what it reads it writes over."""

    op = "m_fills"
    version = 1
    megabytes: int
    name: str = ""

    def run(self, ctx: RunContext, /, *, x: Tensors | None = None) -> Tensors:
        if x is not None:
            x.tensors["x"].add_(1)
        part = manager_of(ctx).part(f"{self.name}{self.megabytes}", lambda: block(self.megabytes))
        last = torch.ones(2) if x is None else x.tensors["x"] + 1
        return Tensors({"x": last + len(list(part.parameters()))}, {})


class Hoards(fs.Operator):
    """Is out of memory as CUDA is, unless nothing is loaded beside it."""

    op = "m_hoards"
    version = 1
    always: bool = False

    def run(self, ctx: RunContext, /, *, x: Tensors) -> Tensors:
        x.tensors["x"].mul_(3)
        if self.always or manager_of(ctx).resident_bytes > 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return Tensors({"x": x.tensors["x"] + 1}, {})


def block(megabytes: int) -> torch.nn.Module:
    return torch.nn.ParameterList([torch.zeros(megabytes * MB // 4)])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One device of 10 MB."""
    monkeypatch.setenv("FLOWSYNTH_SIM", "10MB")
    inventory.cache_clear()
    yield
    inventory.cache_clear()


def test_what_is_not_in_use_makes_room(tmp_path: Path) -> None:
    g = Graph("g")
    first = g.add("first", Fills(megabytes=6))
    second = g.add("second", Fills(megabytes=7), x=first)
    g.add("third", Fills(megabytes=6, name="other"), x=second)
    run = g.run(cache_dir=tmp_path, executor="threads")
    assert run["third"].tensors["x"].tolist() == [8.0, 8.0]
    assert {node.device for node in run.record.nodes.values()} == {"sim:0"}


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_once_more_with_nothing_else_loaded(tmp_path: Path, executor: str) -> None:
    """Also where the first try has written to what it read."""
    g = Graph("g")
    first = g.add("first", Fills(megabytes=4))
    g.add("hoards", Hoards(), x=first)
    run = g.run(cache_dir=tmp_path, executor=executor)
    assert run["hoards"].tensors["x"].tolist() == [7.0, 7.0]


def test_too_large_is_one_message(tmp_path: Path) -> None:
    g = Graph("g")
    first = g.add("first", Fills(megabytes=4))
    g.add("hoards", Hoards(always=True), x=first)
    g.add("fills", Fills(megabytes=11))
    with pytest.raises(RunFailedError) as failed:
        g.run(cache_dir=tmp_path)
    hoards, fills = (
        failed.value.run.record.nodes["hoards"].error,
        failed.value.run.record.nodes["fills"].error,
    )
    assert hoards.startswith(
        "hoards: out of memory on sim:0, with nothing else loaded there too; expected smaller"
    )
    assert "Tried to allocate 20.00 GiB" in hoards
    assert fills.startswith("fills: out of memory on sim:0")
    assert "11,534,336 bytes of 10,485,760" in fills
    assert failed.value.run.record.nodes["first"].status == "computed"


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_a_simulated_device_counts_what_is_in_use() -> None:
    manager = ModelManager("cpu", 8 * MB, limit_bytes=10 * MB)
    held = manager.part("a", lambda: block(6))
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        manager.part("b", lambda: block(6))
    del held
    manager.relieve()
    assert manager.part("b", lambda: block(6)) is not None
