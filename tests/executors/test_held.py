"""What has been made is there for readers that come late: nothing is made twice, and no two samples mix."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.context import RunContext
from flowsynth.values import Frames
from tests.executors.dags import Against, Blend, Draw, Plus
from tests.executors.lives import identity
from tests.executors.test_passes import CALLS, Noted, Sample, Values
from tests.streams import Counter, Invert, write_source


class Clip(fs.Operator):
    """A clip out of nothing; counts its calls."""

    op = "held_clip"
    version = 1
    count: int = 64

    def run(self, ctx: RunContext, /) -> Frames:
        CALLS.append(ctx.node)
        return Frames(
            torch.arange(self.count * 192, dtype=torch.int64)
            .remainder(251)
            .to(torch.uint8)
            .view(-1, 3, 8, 8),
            12,
        )


@pytest.fixture(autouse=True)
def _calls() -> None:
    CALLS.clear()


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("policy", ["auto", "never", "always"])
def test_a_whole_clip_is_made_once_for_all_chunks_that_read_it(
    tmp_path: Path, policy: str, executor: str
) -> None:
    g = Graph("once")
    clip = g.add("clip", Clip(), cache=policy)
    g.add("end", Noted(), frames=g.add("mapped", Noted(), frames=clip))
    run = g.run(cache_dir=tmp_path, chunk=16, executor=executor)
    assert CALLS.count("clip") == 1
    assert run.record.nodes["clip"].tasks.computed == 1
    assert run["end"].num_frames == 64


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("max_bytes", [None, 2000], ids=["room", "no room"])
def test_one_sample_is_read_by_all_though_one_reader_comes_late(
    tmp_path: Path, executor: str, max_bytes: int | None
) -> None:
    """`late` cannot have tasks before the length of `drawn` is known, long after `sample` is over."""
    g = Graph("late")
    sample = g.add("sample", Sample(count=40))
    early = g.add("early", Noted(), frames=sample)
    number = g.add("n3", Plus(), x=g.add("n2", Plus(), x=g.add("n1", Plus())))
    drawn = g.add("drawn", Draw(count=40), seed=number)
    g.add("late", Against(), frames=sample, reference=drawn)
    g.add("mixed", Blend(), clips=[early, drawn])
    g.add("same", Values(), a=early, b=early)
    g.outputs = ["same", "late", "mixed"]
    run = g.run(cache_dir=tmp_path, chunk=8, executor=executor, max_bytes=max_bytes)
    assert CALLS.count("sample") == 1
    assert run["same"] == [1] * 40
    assert len(set(run["late"].tensor.flatten().tolist())) <= 40


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_chunks_that_a_late_reader_needs_wait_on_disk(tmp_path: Path, executor: str) -> None:
    """They are cheap and not to be kept; but to make them again costs, and in memory they would pile up."""
    source = write_source(tmp_path / "s.txt", range(400))
    g = Graph("spooled")
    mapped = g.add("mapped", Noted(), frames=g.add("clip", Counter(path=source)), cache="never")
    number = g.add("number", Plus())
    drawn = g.add("drawn", Draw(count=400), seed=number)
    late = g.add("late", Blend(), clips=[mapped, drawn])
    g.add("end", Invert(), frames=late)
    run = g.run(cache_dir=tmp_path / "cache", chunk=4, executor=executor)
    assert CALLS.count("mapped") == 100
    assert run.peak_alive <= 12
    expected = g.run(cache_dir=tmp_path / "other", chunk=400)
    assert identity(run["end"]) == identity(expected["end"])
