"""What an operator gave is what its readers get, and its params are those of its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.api.outputs import file_stems
from flowsynth.core.context import RunContext
from flowsynth.core.held import loose_fields
from flowsynth.core.streams import Map, StreamKind, Window
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.picture.overlay import Overlay
from flowsynth.values import Frames, Tensors
from tests.streams import Counter, Invert, Mean, write_source

BUFFER = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)


class Reused(fs.Operator):
    """Gives one buffer again and again."""

    op = "own_reused"
    version = 1

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        torch.add(frames.tensor, 1, out=BUFFER)
        return frames.with_data(BUFFER)


class Worn(fs.Operator):
    """Writes to its params."""

    op = "own_worn"
    version = 1
    seen: dict[str, Any] = {}  # noqa: RUF012  a field

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        self.seen["count"] = self.seen.get("count", 0) + 1
        return frames.with_data(frames.tensor + self.seen["count"])


class InPlace(fs.Operator):
    """Writes to what it reads, which is its own."""

    op = "own_in_place"
    version = 1

    def stream(self) -> StreamKind:
        return Window(0, 1)

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        count = ctx.span.count if ctx.span else frames.num_frames
        for part in frames.parts:
            part.bitwise_not_()
        return frames.slice(0, count)


class Complex(fs.Operator):
    """Gives what no file holds."""

    op = "own_complex"
    version = 1

    def run(self, ctx: RunContext, /) -> Tensors:
        return Tensors({"x": torch.zeros(2, dtype=torch.complex64)})


def clip(folder: Path, *operators: fs.Operator, length: int = 16) -> fs.Graph:
    g = fs.Graph("own")
    last = g.add("clip", Counter(path=write_source(folder / "s.txt", range(length))))
    for i, operator in enumerate(operators):
        last = g.add(f"n{i}", operator, frames=last)
    return g


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_buffer_that_is_written_to_again_is_an_error(tmp_path: Path, executor: str) -> None:
    """A window keeps the chunk before: it would hold the frames of the next one."""
    g = clip(tmp_path, Reused(), Mean(radius=1))
    with pytest.raises(fs.RunFailedError, match=r"n1: what n0 gave was changed .* give a clone"):
        g.run(cache_dir=tmp_path / "cache", chunk=4, executor=executor)


def test_a_buffer_that_is_read_in_time_is_none(tmp_path: Path) -> None:
    run = clip(tmp_path, Reused()).run(cache_dir=tmp_path / "cache", chunk=4)
    whole = clip(tmp_path).run(cache_dir=tmp_path / "cache")
    assert torch.equal(run["n0"].tensor, whole["clip"].tensor + 1)


@pytest.mark.parametrize("max_bytes", [None, 2000])
def test_what_a_reader_does_to_its_own_reaches_nobody(tmp_path: Path, max_bytes: int | None) -> None:
    g = clip(tmp_path, Invert(), InPlace(), InPlace(), Mean(radius=2))
    expected = clip(tmp_path, Invert(), Mean(radius=2)).run(cache_dir=tmp_path / "other")["n1"]
    for chunk in (1, 4, 5):
        run = g.run(cache_dir=tmp_path / str(chunk), chunk=chunk, max_bytes=max_bytes)
        assert torch.equal(run["n3"].tensor, expected.tensor)


def test_params_that_run_writes_to_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(fs.RunFailedError, match=r"n0: params.seen changed while the run went on"):
        clip(tmp_path, Worn()).run(cache_dir=tmp_path / "cache", chunk=4)
    with pytest.raises(fs.RunFailedError, match=r"n0: params.seen changed while the run went on"):
        clip(tmp_path, Worn(seen={"count": 5})).run(cache_dir=tmp_path / "cache", chunk=16)


def test_params_that_can_be_written_to_are_known_by_their_types() -> None:
    assert loose_fields(Overlay) == ()
    assert set(loose_fields(Denoise)) == {"scheduler_options", "options"}
    assert loose_fields(Worn) == ("seen",)


def test_a_message_names_its_node_though_it_begins_with_the_same_letters(tmp_path: Path) -> None:
    g = fs.Graph("own")
    g.add("a", Complex())
    with pytest.raises(fs.RunFailedError, match=r"a: TypeError: a tensor of torch\.complex64 cannot be kept"):
        g.run(cache_dir=tmp_path)


def test_files_whose_names_differ_only_in_the_form_of_a_letter() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    stems = file_stems([composed, apart])
    assert stems[composed] == composed
    assert stems[apart] == f"{apart}_2"
