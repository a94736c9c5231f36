"""Sound in parts: whatever the length of chunks, the bits are those of a plain call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.media.provenance import read_provenance
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.sound.concat_audio import ConcatAudio
from flowsynth.operators.sound.fade_audio import FadeAudio
from flowsynth.operators.sound.mix_audio import MixAudio
from flowsynth.operators.sound.normalize_loudness import NormalizeLoudness
from flowsynth.operators.sound.read_audio import ReadAudio
from flowsynth.operators.sound.resample_audio import ResampleAudio
from flowsynth.operators.sound.trim_audio import TrimAudio
from flowsynth.values import Audio, Frames
from flowsynth.values.audio import BLOCK, sound_info
from tests.operators.sound.test_sound import audio, clicks, write

RATE = 44_100
#: Neither whole blocks nor whole seconds.
LENGTH = 9 * BLOCK + 1234


def noise(seed: int, samples: int = LENGTH, channels: int = 2, rate: int = RATE) -> Audio:
    drawn = np.random.default_rng(seed).normal(0, 0.1, (channels, samples))
    return audio(drawn.astype(np.float32), rate)


class Noise(fs.Operator):
    """Noise that is made rather than read."""

    op = "noise_of_a_test"
    version = 1
    positional = True

    seed: int = 0
    samples: int = LENGTH

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return sound_info(self.samples, RATE)

    def run(self, ctx: RunContext, /) -> Audio:
        whole = noise(self.seed, self.samples)
        return whole if ctx.span is None else whole.slice(ctx.span.start, ctx.span.stop)


class Ragged(Noise):
    """Blocks of which each misses a sample."""

    op = "ragged_of_a_test"
    version = 1

    def run(self, ctx: RunContext, /) -> Audio:
        whole = super().run(ctx)
        return whole.cut(0, whole.num_samples - 1)


LENGTHS = (LENGTH, 3 * BLOCK, 5 * BLOCK - 7)
OPERATORS: list[Operator] = [
    TrimAudio(start=0.7, stop=-0.3),
    TrimAudio(start=-3.1),
    FadeAudio(fade_in=0.9, fade_out=2.2, curve="qsin"),
    ResampleAudio(rate=48_000),
    ResampleAudio(rate=16_000, channels=1),
    ResampleAudio(rate=44_099),
    ResampleAudio(channels=6),
    ConcatAudio(),
    ConcatAudio(crossfade=0.513),
    MixAudio(gains=(0.0, -6.0, 3.0)),
]


def is_many(operator: Operator) -> bool:
    return isinstance(operator, (ConcatAudio, MixAudio))


@pytest.mark.parametrize(("chunk", "executor"), [(1, "serial"), (3, "threads"), (16, "serial")])
def test_chunks_are_the_whole(tmp_path: Path, chunk: int, executor: str) -> None:
    graph = fs.Graph("sound")
    names = [graph.add(f"n{k}", Noise(seed=k, samples=length)) for k, length in enumerate(LENGTHS)]
    for k, operator in enumerate(OPERATORS):
        graph.add(f"out{k}", operator, audio=[*names] if is_many(operator) else names[0])
    outputs = [f"out{k}" for k in range(len(OPERATORS))]
    run = graph.run(cache_dir=tmp_path, executor=executor, outputs=outputs, chunk=chunk)
    tracks = [noise(k, length) for k, length in enumerate(LENGTHS)]
    for name, operator in zip(outputs, OPERATORS, strict=True):
        call: Any = operator.run
        expected: Audio = call(RunContext(), audio=tracks if is_many(operator) else tracks[0])
        assert run[name].sample_rate == expected.sample_rate, operator
        assert torch.equal(run[name].tensor, expected.tensor), operator


@pytest.mark.parametrize("change", [{}, {"rate": 22_050, "channels": 1, "start": 0.31, "end": "0:03.77"}])
def test_a_file_in_parts_is_the_whole(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write(tmp_path / "a.m4a", noise(3).samples.numpy(), "aac", rate=RATE)
    operator = ReadAudio(path=str(path), **change)
    whole = operator.run(RunContext())
    for chunk, executor in ((1, "serial"), (2, "threads")):
        graph = fs.Graph("sound")
        graph.add("out", operator)
        run = graph.run(cache_dir=tmp_path / str(chunk), executor=executor, outputs=["out"], chunk=chunk)
        assert torch.equal(run["out"].tensor, whole.tensor)


def test_a_stream_out_of_the_cache_is_read_by_others(tmp_path: Path) -> None:
    graph = fs.Graph("sound")
    made = graph.add("made", Noise(), cache="always")
    graph.run(cache_dir=tmp_path, outputs=["made"], chunk=4)
    for k, operator in enumerate((TrimAudio(start=-1.5), FadeAudio(fade_out=1.0))):
        graph.add(f"cut{k}", operator, audio=made)
        run = graph.run(cache_dir=tmp_path, outputs=[f"cut{k}"], chunk=3)
        expected = operator.run(RunContext(), audio=noise(0))
        assert run.record.nodes["made"].status == "hit"
        assert torch.equal(run[f"cut{k}"].tensor, expected.tensor)


def test_a_block_that_is_not_full_is_refused(tmp_path: Path) -> None:
    graph = fs.Graph("sound")
    graph.add("made", Ragged())
    with pytest.raises(RunError, match="full blocks"):
        graph.run(cache_dir=tmp_path, outputs=["made"], chunk=2)


def test_a_sound_that_is_an_output_is_a_file(tmp_path: Path) -> None:
    graph = fs.Graph("sound")
    graph.add("made", Noise())
    graph.run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out", outputs=["made"])
    path = tmp_path / "out" / "made.wav"
    assert torch.equal(ReadAudio(path=str(path)).run(RunContext()).tensor, noise(0).tensor)
    assert (read_provenance(path) or {})["graph"]


def test_a_sound_of_many_chunks_is_written_as_one(tmp_path: Path) -> None:
    frames = Frames(torch.zeros(60, 3, 48, 64, dtype=torch.uint8), fps=12)
    encode = EncodeVideo(codec="ffv1")
    source = write(tmp_path / "a.wav", clicks([0.5, 3.2, 4.9], 5.5), "pcm_s16le")
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(bytes(encode.run(RunContext(), frames=frames).data))
    whole = ResampleAudio(rate=44_100).run(RunContext(), audio=ReadAudio(path=str(source)).run(RunContext()))
    loud = NormalizeLoudness().run(RunContext(), audio=whole)
    expected = encode.run(RunContext(), frames=frames, audio=loud)
    graph = fs.Graph("sound")
    read = graph.add("read", ReadAudio(path=str(source)))
    slow = graph.add("slow", ResampleAudio(rate=44_100), audio=read)
    soft = graph.add("soft", NormalizeLoudness(), audio=slow)
    shown = graph.add("shown", ReadVideo(path=str(clip)))
    graph.add("video", encode, frames=shown, audio=soft)
    run = graph.run(cache_dir=tmp_path / "cache", outputs=["video"], chunk=3)
    assert bytes(run["video"].data) == bytes(expected.data)
