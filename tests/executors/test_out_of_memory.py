"""A device without room: once more with nothing else loaded, then in smaller portions, then one message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, Run, RunFailedError
from flowsynth.core.context import RunContext
from flowsynth.core.errors import DeviceMemoryError
from flowsynth.core.streams import Map, StreamKind
from flowsynth.executors.memory import is_out_of_memory
from flowsynth.models.manager import ModelManager, manager_of
from flowsynth.operators.shared.frames import map_frames
from flowsynth.planning.placement import inventory
from flowsynth.values import Frames, Tensors
from tests.executors.dags import Plus
from tests.streams import Counter, write_source

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


class Portioned(fs.Operator):
    """Has room for so many numbers at once, and gives how many it took."""

    op = "m_portioned"
    version = 1
    room: int

    def run(self, ctx: RunContext, /) -> int:
        taken = ctx.portions.of(32, least=4)
        if taken > ROOM.get(self.room, self.room):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return taken


#: What a device has room for that had less before.
ROOM: dict[int, int] = {}


class Squeezed(fs.Operator):
    """A map that has room for four frames at once, and takes as many as there are; the same bits, however."""

    op = "m_squeezed"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        at_once = ctx.portions.of(frames.num_frames)
        ctx.note(f"tried {at_once}, {ctx.span.start if ctx.span else ''}")
        if at_once > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return frames.with_data(255 - frames.tensor)


class Rests(fs.Operator):
    """Has room if what it has made waits on the host: the same bits."""

    op = "m_rests"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        def render(frame: torch.Tensor) -> torch.Tensor:
            if not ctx.portions.halvings:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return 1 - frame

        return map_frames(ctx, frames, render)


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


def statuses(run: Run) -> dict[str, str]:
    return {name: node.status for name, node in run.record.nodes.items()}


def test_smaller_portions_are_taken_and_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rounding may have changed is nothing that another run takes; what follows from it is."""
    g = Graph("g")
    g.add("after", Plus(), x=g.add("made", Portioned(room=9)))
    run = g.run(cache_dir=tmp_path, executor="threads")
    assert run["after"] == 9
    (note,) = run.record.nodes["made"].notes
    assert "out of memory on sim:0: made in portions of a 4th" in note
    again = g.run(cache_dir=tmp_path)
    assert statuses(again) == {"made": "computed", "after": "hit"}
    monkeypatch.setitem(ROOM, 9, 99)
    roomy = g.run(cache_dir=tmp_path)
    assert roomy["after"] == 33, "the whole is taken as soon as there is room"
    assert statuses(g.run(cache_dir=tmp_path)) == {"made": "hit", "after": "hit"}


def test_chunks_begin_with_what_the_last_one_came_to(tmp_path: Path) -> None:
    g = Graph("g")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(24))))
    g.add("squeezed", Squeezed(), frames=clip, cache="always")
    run = g.run(cache_dir=tmp_path / "cache", chunk=8)
    tried = [note for note in run.record.nodes["squeezed"].notes if note.startswith("tried")]
    assert tried == ["tried 8, 0", "tried 4, 0", "tried 4, 8", "tried 4, 16"]
    again = g.run(cache_dir=tmp_path / "cache", chunk=8)
    assert statuses(again)["squeezed"] == "computed"
    assert torch.equal(run["squeezed"].tensor, again["squeezed"].tensor)


def test_what_has_the_same_bits_is_kept(tmp_path: Path) -> None:
    g = Graph("g")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(8))))
    g.add("rests", Rests(), frames=clip, cache="always")
    assert statuses(g.run(cache_dir=tmp_path / "cache"))["rests"] == "computed"
    assert statuses(g.run(cache_dir=tmp_path / "cache"))["rests"] == "hit"


def test_what_cannot_take_less_is_not_tried_for_ever(tmp_path: Path) -> None:
    g = Graph("g")
    g.add("made", Portioned(room=3))
    with pytest.raises(RunFailedError, match="nothing else loaded there and in smaller portions too"):
        g.run(cache_dir=tmp_path, executor="threads")


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
