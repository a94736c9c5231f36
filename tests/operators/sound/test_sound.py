"""Sound through operators: where samples lie, how loud they are, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError, InputError, RequestError
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

Array = npt.NDArray[Any]
RATE = 48_000


def clicks(at: list[float], seconds: float, rate: int = RATE, channels: int = 2) -> Array:
    """Short bursts of a tone at these moments; the second channel has half of it."""
    time = np.arange(round(seconds * rate)) / rate
    wave = np.zeros_like(time)
    for moment in at:
        near = np.abs(time - moment)
        wave += np.where(near < 0.01, np.cos(near * np.pi / 0.02) * np.cos(2 * np.pi * 1000 * near), 0)
    return np.stack([wave / (c + 1) for c in range(channels)]).astype(np.float32) * 0.8


def heard(samples: Array, rate: int) -> list[float]:
    """Moments of the bursts."""
    loud = np.abs(samples[0]) > 0.4
    starts = np.flatnonzero(loud[1:] & ~loud[:-1])
    groups = np.split(starts, np.flatnonzero(np.diff(starts) > rate / 20) + 1)
    peaks = []
    for group in (g for g in groups if len(g)):
        a, b = max(group[0] - rate // 100, 0), group[-1] + rate // 100
        peaks.append((a + np.argmax(np.abs(samples[0, a:b]))) / rate)
    return peaks


def audio(samples: Array, rate: int = RATE) -> Audio:
    return Audio(torch.from_numpy(np.ascontiguousarray(samples.T)), rate)


def write(
    path: Path,
    samples: Array,
    codec: str,
    *,
    video_from: float | None = None,
    sound_from: float = 0,
    rate: int = RATE,
) -> Path:
    """A file of sound, with a picture that starts later or earlier where asked for."""
    with av.open(str(path), "w") as output:
        video: Any = None
        if video_from is not None:
            video = output.add_stream("libx264", rate=25, options={"bf": "0"})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        stream: Any = output.add_stream(codec, rate=rate)
        stream.layout = {1: "mono", 2: "stereo"}[samples.shape[0]]
        for k in range(50 if video is not None else 0):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * k, np.uint8), "rgb24")
            frame.pts, frame.time_base = k + round((video_from or 0) * 25), Fraction(1, 25)
            output.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout=stream.layout.name)
        sound.sample_rate, sound.pts, sound.time_base = rate, round(sound_from * rate), Fraction(1, rate)
        output.mux(stream.encode(sound))
        for each in (video, stream):
            output.mux(each.encode(None) if each is not None else [])
    return path


FILES = [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.m4a", "aac"), ("a.mp4", "aac"), ("a.mkv", "aac")]
FILES += [
    ("b.mkv", "flac"),
    ("a.webm", "libopus"),
    ("a.mov", "pcm_s16le"),
    ("a.mp3", "libmp3lame"),
]


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_sound_is_where_it_was_in_every_container(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, clicks([0.25, 1.0, 1.9], 2.1), codec)
    track = ReadAudio(path=str(path)).run(RunContext())
    assert (track.sample_rate, track.samples.shape[0]) == (RATE, 2)
    assert heard(track.samples.numpy(), RATE) == pytest.approx([0.25, 1.0, 1.9], abs=0.0015)
    part = ReadAudio(path=str(path), start=0.9, end=1.5, rate=16_000, channels=1).run(RunContext())
    assert (part.sample_rate, part.samples.shape) == (16_000, (1, 9600))
    assert heard(part.samples.numpy(), 16_000) == pytest.approx([0.1], abs=0.0015)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(("video_from", "sound_from"), [(0.0, 0.4), (0.4, 0.0), (0.0, 0.0)])
def test_second_zero_is_the_first_picture(
    tmp_path: Path, suffix: str, video_from: float, sound_from: float
) -> None:
    path = write(
        tmp_path / f"a{suffix}", clicks([1.0], 2.0), "aac", video_from=video_from, sound_from=sound_from
    )
    track = ReadAudio(path=str(path)).run(RunContext())
    assert heard(track.samples.numpy(), RATE) == pytest.approx([1.0 + sound_from - video_from], abs=0.002)


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    ("codec", "container", "stored"),
    [
        ("h264", "mp4", "aac"),
        ("h264", "mov", "aac"),
        ("ffv1", "mkv", "flac"),
        ("vp9", "webm", "opus"),
        ("ffv1", "avi", "pcm_s16le"),
    ],
)
@pytest.mark.parametrize("rate", [48_000, 44_100, 11_025])
def test_a_sound_is_written_beside_the_frames(
    tmp_path: Path, codec: Any, container: Any, stored: str, rate: int
) -> None:
    frames = Frames(torch.zeros(50, 3, 48, 64, dtype=torch.uint8), fps=Fraction(25))
    sound = audio(clicks([0.3, 1.7, 2.5], 3.0, rate), rate)
    video = EncodeVideo(codec=codec, container=container, preset="ultrafast").run(
        RunContext(), frames=frames, audio=sound
    )
    path = tmp_path / f"out.{container}"
    path.write_bytes(video.data)
    with av.open(str(path)) as opened:
        assert opened.streams.audio[0].codec_context.name.removeprefix("lib") == stored
        first = opened.streams.video[0].start_time or 0
        assert first * opened.streams.video[0].time_base <= 0.03
    back = ReadAudio(path=str(path)).run(RunContext())
    assert heard(back.samples.numpy(), back.sample_rate) == pytest.approx([0.3, 1.7], abs=0.0015)
    assert abs(back.samples.shape[1] / back.sample_rate - 2) < 0.01 + 1024 / back.sample_rate
    again = EncodeVideo(codec=codec, container=container, preset="ultrafast").run(
        RunContext(), frames=frames, audio=sound
    )
    assert bytes(again.data) == bytes(video.data)


def test_a_graph_reads_changes_and_writes_sound(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", clicks([0.5, 1.5], 2.0), "aac", video_from=0)
    graph = fs.Graph("sound")
    clip = graph.add("clip", ReadVideo(path=str(source), start=1))
    track = graph.add("track", ReadAudio(path=str(source), start=1))
    soft = graph.add("soft", NormalizeLoudness(loudness=-30), audio=track)
    graph.add("video", EncodeVideo(), frames=clip, audio=soft)
    result = graph.run(cache_dir=tmp_path / "cache")
    (tmp_path / "out.mp4").write_bytes(result["video"].data)
    back = ReadAudio(path=str(tmp_path / "out.mp4")).run(RunContext())
    place = np.argmax(np.abs(back.samples[0].numpy())) / RATE
    assert place == pytest.approx(0.5, abs=0.002)


def test_faults_of_sound_come_before_the_run(tmp_path: Path) -> None:
    pcm = write(tmp_path / "a.wav", clicks([0.1], 0.5), "pcm_s16le")
    silent = tmp_path / "silent.mkv"
    silent.write_bytes(
        bytes(
            EncodeVideo(codec="ffv1")
            .run(RunContext(), frames=Frames(torch.zeros(2, 3, 8, 8), fps=Fraction(9)))
            .data
        )
    )
    text = """
nodes:
  read: {{op: read_video, params: {{path: a.mp4{extra}}}}}
  video: {{op: encode_video, inputs: {{frames: read}}, params: {{{params}}}}}
outputs: [video]
"""
    tiny = text.replace("a.mp4", str(silent))
    with pytest.raises(GraphError, match=r"(?s)params\.codec.*16x16.*8x8"):
        fs.Graph.from_yaml(tiny.format(params="codec: h265", extra=""))
    fs.Graph.from_yaml(tiny.format(params="codec: h264", extra=""))
    assert [fault.path for fault in TrimAudio(start=2, stop=1).check({})] == ["params.stop"]
    assert [fault.path for fault in TrimAudio(start=-1, stop=-2).check({})] == ["params.stop"]
    assert not TrimAudio(start=-1, stop=2).check({})
    assert [fault.path for fault in ReadAudio(path="a.wav", start=2, end="0:01").check({})] == ["params.end"]
    for params, extra, where, found in (
        (f"codec: vp9, audio: {pcm}", "", r"params\.audio", r"\.webm takes \(opus, vorbis\).*pcm_s16le"),
        (f"audio: {silent}", "", r"params\.audio", "no audio stream"),
        (f"audio: {pcm}, container: mkv, audio_stream: 1", "", r"params\.audio", "audio streams 0"),
        ("codec: gif, fps: 60", "", r"params\.fps", "50"),
        ("codec: gif", ", fps: 60", r"params\.fps", "50"),
        ("codec: ffv1, container: avi, fps: 90000", "", r"params\.fps", "1000"),
        ("codec: h265", ", width: 8, height: 64", r"params\.codec", "16x16"),
        (
            f"audio: {pcm}, audio_start: 0.6, container: mkv",
            "",
            r"params\.audio",
            "end at 0.5 s",
        ),
        ("codec: ffv1", ", start: 2, end: 1.5", r"read\.params\.end", "after start"),
    ):
        with pytest.raises(GraphError, match=f"(?s){where}.*{found}"):
            fs.Graph.from_yaml(text.format(params=params, extra=extra))


def test_trim_concat_and_mix_are_exact() -> None:
    one, two = audio(clicks([0.1], 0.5)), audio(clicks([0.2], 0.3001))
    run: Callable[..., Array] = lambda op, **inputs: op.run(RunContext(), **inputs).samples.numpy()  # noqa: E731
    assert (run(TrimAudio(start=0.05, stop=0.25), audio=one) == one.samples.numpy()[:, 2400:12000]).all()
    assert (run(TrimAudio(start=-0.1), audio=one) == one.samples.numpy()[:, -4800:]).all()
    with pytest.raises(RequestError, match=r"a part of 0.5 s, given 0.5 to null"):
        run(TrimAudio(start=0.5), audio=one)
    joined = run(ConcatAudio(), audio=[one, two, one])
    assert (joined == np.concatenate([t.samples.numpy() for t in (one, two, one)], axis=1)).all()
    steady = audio(np.ones((1, 4800), np.float32))
    faded = run(ConcatAudio(crossfade=0.05), audio=[steady, steady])
    assert faded.shape[1] == 7200
    assert faded[0, 2400:4800].max() == pytest.approx(2**0.5, abs=1e-3)
    mixed = run(MixAudio(gains=(0, -6.0206)), audio=[one, two])
    expected = one.samples.numpy().copy()
    expected[:, : two.samples.shape[1]] += two.samples.numpy() / 2
    assert np.abs(mixed - expected).max() < 1e-5
    for other, given in (
        (audio(clicks([0.1], 0.2), 44_100), "44100 Hz and 48000 Hz"),
        (audio(clicks([0.1], 0.2)[:1]), "48000 Hz with 1 and 48000 Hz with 2"),
    ):
        for op in (MixAudio(), ConcatAudio()):
            with pytest.raises(RequestError, match=given):
                run(op, audio=[one, other])
    with pytest.raises(RequestError, match=r"sounds of 0.5 s or more, given 0.3001"):
        run(ConcatAudio(crossfade=0.25), audio=[one, two, one])
    assert MixAudio(gains=(1.0,)).check({"audio": [1, 2]})[0].path == "params.gains"


@pytest.mark.parametrize(("rate", "to_rate"), [(48_000, 16_000), (44_100, 48_000), (11_025, 44_100)])
def test_resampling_keeps_time_and_pitch(rate: int, to_rate: int) -> None:
    time = np.arange(rate * 2 + 1) / rate
    tone = audio(np.sin(2 * np.pi * 1000 * time)[None].astype(np.float32) * 0.5, rate)
    out = ResampleAudio(rate=to_rate).run(RunContext(), audio=tone)
    assert out.samples.shape[1] == round((rate * 2 + 1) * to_rate / rate)
    expected = np.sin(2 * np.pi * 1000 * np.arange(out.samples.shape[1]) / to_rate) * 0.5
    middle = slice(to_rate // 10, -to_rate // 10)
    assert np.abs(out.samples[0].numpy() - expected)[middle].max() < 2e-3


def test_stereo_becomes_mono_and_back() -> None:
    both = audio(np.stack([np.full(4800, 0.5), np.full(4800, 0.1)]).astype(np.float32))
    mono = ResampleAudio(channels=1).run(RunContext(), audio=both)
    assert mono.samples.shape == (1, 4800)
    assert float(mono.samples[0, 2400]) == pytest.approx(0.3, abs=1e-3)
    assert ResampleAudio(channels=2).run(RunContext(), audio=mono).samples.shape == (2, 4800)


def test_fades_are_lines() -> None:
    steady = audio(np.ones((2, 48_000), np.float32))
    faded = FadeAudio(fade_in=0.25, fade_out=0.5).run(RunContext(), audio=steady).samples.numpy()
    time = np.arange(48_000) / RATE
    assert np.abs(faded[0] - np.clip(np.minimum(time / 0.25, (1 - time) / 0.5), 0, 1)).max() < 1e-3


@pytest.mark.parametrize("samples", [24_000, 24_001, 26_399, 26_401])
def test_loudness_whatever_the_length(samples: int) -> None:
    """Also where the last tenth of a second is not full, and the loudest sample lies in it."""
    noise = 0.05 * torch.randn(samples, 1, generator=torch.Generator().manual_seed(0))
    noise[-9] = 0.5
    out = NormalizeLoudness(loudness=-30).run(RunContext(), audio=Audio(noise, 24_000))
    assert float(out.samples.std() / noise.std()) == pytest.approx(10 ** ((-30 + 23.1) / 20), rel=0.03)
    loud = NormalizeLoudness(loudness=0).run(RunContext(), audio=Audio(noise, 24_000))
    assert float(loud.samples.abs().max()) == pytest.approx(10 ** (-1 / 20), rel=0.05)


def test_loudness_by_ebu_r128() -> None:
    # EBU Tech 3341, case 1: a stereo tone of 1000 Hz at -23 dBFS is -23 LUFS.
    time = np.arange(RATE * 5) / RATE
    tone = np.repeat(np.sin(2 * np.pi * 1000 * time)[None], 2, axis=0).astype(np.float32)
    for level, target in ((-23, -33), (-33, -23)):
        given = audio(tone * 10 ** (level / 20))
        out = NormalizeLoudness(loudness=target).run(RunContext(), audio=given).samples.numpy()
        assert 20 * np.log10(np.abs(out).max()) == pytest.approx(target, abs=0.1)
    ctx = RunContext()
    peaky = clicks([0.5 * k for k in range(1, 9)], 5)
    out = NormalizeLoudness(loudness=-5).run(ctx, audio=audio(peaky)).samples.numpy()
    assert 20 * np.log10(np.abs(out).max()) == pytest.approx(-1, abs=0.3)
    assert "peaks allow" in ctx.notes[0]
    silent = NormalizeLoudness().run(ctx, audio=audio(np.zeros((2, RATE), np.float32)))
    assert not silent.samples.any()


def test_faults_of_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", clicks([0.1], 0.5), "pcm_s16le")
    with pytest.raises(InputError, match="sound after 9 s, found none"):
        ReadAudio(path=str(path), start=9).run(RunContext())
    with pytest.raises(InputError, match="no such file"):
        ReadAudio(path=str(tmp_path / "no.wav")).run(RunContext())
    with pytest.raises(ValueError, match="expected seconds"):
        ReadAudio(path="a.wav", start="5f")
