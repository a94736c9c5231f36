"""Operators that do not do what they say, or raise what nobody expects: that node fails and is named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph, Run
from flowsynth.core.context import RunContext
from flowsynth.core.errors import CancelledError, FlowsynthError, GraphError, RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, Reads, Resample, Scan, Source, StreamInfo, StreamKind, Window
from flowsynth.values import Frames
from tests.streams import Counter, Sum, picture, write_source

KINDS: dict[str, StreamKind] = {"map": Map(), "window": Window(1, 1), "scan": Scan(), "resample": Resample()}


class Other(Operator):
    """Gives some frames more or fewer than it should, from a chunk on."""

    op = "promise_other"
    version = 1
    positional = True
    kind: str = "map"
    more: int = 0
    since: int = 16

    def stream(self) -> StreamKind:
        return KINDS[self.kind]

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        return Reads({"frames": (start, stop)})

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        count = ctx.span.count if ctx.span else frames.num_frames
        start = ctx.span.start if ctx.span else 0
        lead = ctx.span.lead if ctx.span else 0
        given = frames.tensor[lead : lead + count]
        if self.more and start >= self.since:
            given = given[: self.more] if self.more < 0 else torch.cat([given, given[: self.more]])
        return frames.with_data(given)


class Short(Operator):
    """A file that says it holds more frames than it does."""

    op = "promise_short"
    version = 1
    positional = True

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return StreamInfo(40)

    def run(self, ctx: RunContext, /) -> Frames:
        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, 40)
        return Frames(torch.stack([picture(i) for i in range(start, min(stop, 37))]))


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("more", [-1, 2])
@pytest.mark.parametrize("kind", list(KINDS))
def test_another_number_of_frames_is_an_error_that_names_both(
    tmp_path: Path, kind: str, more: int, executor: str
) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    g = Graph("count")
    clip = g.add("clip", Counter(path=source))
    g.add("sum", Sum(), frames=g.add("bad", Other(kind=kind, more=more), frames=clip))
    # The clip is asked for too: else what is left of it goes when nobody needs it any more.
    run = g.run(cache_dir=tmp_path / "cache", outputs=["clip", "sum"], executor=executor, check=False)
    nodes = run.record.nodes
    assert (nodes["clip"].status, nodes["bad"].status, nodes["sum"].status) == (
        "computed",
        "failed",
        "skipped",
    )
    assert (
        f"bad.out: expected 16 frames (16 to 32 of 40), the operator gave {16 + more}" in nodes["bad"].error
    )
    good = Graph("good")
    good.add("good", Other(kind=kind), frames=good.add("clip", Counter(path=source)))
    assert good.run(cache_dir=tmp_path / "cache", executor=executor)["good"].num_frames == 40


def test_a_source_that_ends_early_is_an_error(tmp_path: Path) -> None:
    g = Graph("short")
    g.add("clip", Short())
    run = g.run(cache_dir=tmp_path, check=False)
    assert "clip.out: expected 8 frames (32 to 40 of 40), the operator gave 5" in run.record.errors[0]


class Both(NamedTuple):
    """Frames, and a number that only makes sense for all of them."""

    frames: Frames
    brightest: int


class Brightest(Operator):
    """A map that would tell the brightest of the last chunk only."""

    op = "promise_brightest"
    version = 1
    kind: str = "map"

    def stream(self) -> StreamKind:
        return KINDS[self.kind]

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Both:
        return Both(frames, int(frames.tensor.max()))


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_has_no_frames_cannot_come_in_chunks(tmp_path: Path, kind: str) -> None:
    g = Graph("both")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(4))))
    g.add("both", Brightest(kind=kind), frames=clip)
    with pytest.raises(GraphError, match=r"nodes\.both\.brightest: an output without frames"):
        g.run(cache_dir=tmp_path / "cache")


class Asks(Operator):
    """An index map that asks for what it is told to."""

    op = "promise_asks"
    version = 1
    what: str = ""

    def stream(self) -> StreamKind:
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        clip = inputs["frames"]
        told = StreamInfo(clip.length + 4, clip.fps)
        return {"none": None, "less": StreamInfo(-3)}.get(self.what) or told

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        length = inputs["frames"].length
        ends = {"beyond": (start, stop), "back": (3, 1), "before": (-1, 2)}
        first, last = ends.get(self.what, (min(start, length), min(stop, length)))
        return Reads({"frame" if self.what == "name" else "frames": (first, last)})

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        count = ctx.span.count if ctx.span else frames.num_frames + 4
        given = frames.tensor[:count]
        rest = torch.full((count - given.shape[0], *given.shape[1:]), 7, dtype=given.dtype)
        return frames.with_data(torch.cat([given, rest]))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("beyond", "reads() asks for frames 32 to 44 of frames; it has 40"),
        ("back", "reads() asks for frames 3 to 1"),
        ("before", "reads() asks for frames -1 to 2"),
        ("name", "reads() names 'frame'; expected frames; did you mean 'frames'?"),
        ("less", "output_info() gave StreamInfo(length=-3"),
    ],
)
def test_an_index_map_that_leads_nowhere_is_named(tmp_path: Path, what: str, words: str) -> None:
    g = Graph("asks")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(40))))
    g.add("sum", Sum(), frames=clip)
    g.add("asks", Asks(what=what), frames=clip)
    run = g.run(cache_dir=tmp_path / "cache", check=False)
    assert words in run.record.nodes["asks"].error
    assert run.record.nodes["asks"].error.startswith("asks: ")
    assert run.record.nodes["sum"].status == "computed"


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("chunk", [1, 4, 16, 64])
def test_no_frames_at_the_very_end_may_be_read(tmp_path: Path, chunk: int, executor: str) -> None:
    """The last chunks are made of nothing that is read; 40 is a multiple of 4 and of 1."""
    g = Graph("end")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(40))))
    g.add("asks", Asks(), frames=clip)
    for _ in range(2):
        run = g.run(cache_dir=tmp_path / "cache", chunk=chunk, executor=executor)
        assert run["asks"].num_frames == 44
        assert run["asks"].tensor[40:].eq(7).all()


@pytest.mark.parametrize("chunk", [7, 50, 64, 128])
def test_a_fold_gives_the_same_whatever_the_chunks(tmp_path: Path, chunk: int) -> None:
    class Parts(Operator):
        """How many frames each segment had: a result that shows how a clip was cut."""

        op = "promise_parts"
        version = 1

        def stream(self) -> StreamKind:
            from flowsynth.core.streams import Fold

            return Fold(24)

        def segment(self, ctx: RunContext, /, *, frames: Frames) -> int:
            return frames.num_frames

        def combine(self, ctx: RunContext, parts: Sequence[int], /, **inputs: Any) -> list[int]:
            return list(parts)

        def run(self, ctx: RunContext, /, *, frames: Frames) -> list[int]:
            return []

    g = Graph("fold")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(100))))
    g.add("parts", Parts(), frames=clip)
    assert g.run(cache_dir=tmp_path / "cache", chunk=chunk)["parts"] == [24, 24, 24, 24, 4]


class NoTextError(Exception):
    """Cannot be told."""

    def __str__(self) -> str:
        raise ZeroDivisionError("in __str__")


class WorseError(Exception):
    """Ends the program when it is told."""

    def __str__(self) -> str:
        raise SystemExit(0)


RAISED: dict[str, BaseException] = {
    "exit 0": SystemExit(0),
    "exit 3": SystemExit(3),
    "exit text": SystemExit("bye"),
    "generator": GeneratorExit(),
    "memory": MemoryError(),
    "cancelled": CancelledError("by itself"),
    "recursion": RecursionError("too deep"),
    "stop": StopIteration(),
    "base": BaseException("base"),
    "no text": NoTextError(),
    "worse": WorseError(),
    "interrupt": KeyboardInterrupt(),
}


class Raises(Operator):
    """Raises what it is told to, where it is told to."""

    op = "promise_raises"
    version = 1
    what: str = ""
    where: str = "run"

    def _maybe(self, where: str) -> None:
        if where == self.where and self.what:
            raise RAISED[self.what]

    def stream(self) -> StreamKind:
        self._maybe("stream")
        return Resample()

    def cacheable(self) -> bool:
        self._maybe("cacheable")
        return True

    def resolve(self, ctx: RunContext, *, fetch: bool) -> Operator:
        self._maybe("resolve")
        return self

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        self._maybe("files")
        return {}

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        self._maybe("output_info")
        return inputs["frames"]

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        self._maybe("reads")
        return Reads({"frames": (start, stop)})

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        self._maybe("run")
        return frames


def raising(source: Path, **params: str) -> Graph:
    g = Graph("raises")
    clip = g.add("clip", Counter(path=source))
    g.add("good", Sum(), frames=clip)
    g.add("below", Sum(), frames=g.add("bad", Raises(**params), frames=clip))
    return g


@pytest.mark.sample(8)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("what", [name for name in RAISED if name != "interrupt"])
@pytest.mark.parametrize("where", ["run", "output_info", "reads"])
def test_whatever_is_raised_in_a_run_fails_that_node_alone(
    tmp_path: Path, what: str, where: str, executor: str
) -> None:
    source = write_source(tmp_path / "s.txt", range(20))
    g = raising(source, what=what, where=where)
    run = g.run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out", executor=executor, check=False)
    statuses = {name: node.status for name, node in run.record.nodes.items()}
    assert statuses == {"clip": "computed", "good": "computed", "bad": "failed", "below": "skipped"}
    assert run.exit_code == 1
    written = json.loads((tmp_path / "out" / "run.json").read_text())
    assert written["status"] == "failed"
    assert type(RAISED[what]).__name__ in written["errors"][0] or what == "cancelled"
    assert written["errors"][0].startswith("bad: ")
    with pytest.raises(fs.RunFailedError):
        g.run(cache_dir=tmp_path / "cache", executor=executor)


@pytest.mark.parametrize("what", ["exit 0", "no text", "memory", "base"])
@pytest.mark.parametrize("where", ["stream", "cacheable", "resolve", "files"])
def test_whatever_is_raised_in_a_plan_names_the_node(tmp_path: Path, what: str, where: str) -> None:
    g = raising(write_source(tmp_path / "s.txt", range(20)), what=what, where=where)
    with pytest.raises(RunError, match=r"nodes\.bad: promise_raises cannot be planned: ") as caught:
        g.run(cache_dir=tmp_path / "cache")
    assert caught.value.exit_code == 1


def test_an_interrupt_of_a_worker_thread_is_the_nodes_own_and_that_of_the_main_thread_is_not(
    tmp_path: Path,
) -> None:
    g = raising(write_source(tmp_path / "s.txt", range(20)), what="interrupt")
    run = g.run(cache_dir=tmp_path / "cache", executor="threads", check=False)
    assert "KeyboardInterrupt" in run.record.nodes["bad"].error
    with pytest.raises(KeyboardInterrupt):
        g.run(cache_dir=tmp_path / "other", executor="serial")
    again: Run = raising(tmp_path / "s.txt").run(cache_dir=tmp_path / "other")
    assert again.ok


def test_errors_of_an_operator_with_our_types_do_not_end_the_run(tmp_path: Path) -> None:
    from flowsynth.cache.errors import CacheError

    class Fakes(Operator):
        """Raises an error of the cache's."""

        op = "promise_fakes"
        version = 1

        def run(self, ctx: RunContext, /) -> int:
            raise CacheError("cache: not really")

    g = Graph("fakes")
    g.add("bad", Fakes())
    g.add("good", Counter(path=write_source(tmp_path / "s.txt", range(4))))
    run = g.run(cache_dir=tmp_path / "cache", check=False)
    assert {n: r.status for n, r in run.record.nodes.items()} == {"bad": "failed", "good": "computed"}
    assert issubclass(CacheError, FlowsynthError)
