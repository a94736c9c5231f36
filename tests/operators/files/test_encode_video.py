from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError, InputError, RunError
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.values import Frames, Video
from tests.operators.media_files import picture, write_clip


def clip(count: int, width: int = 64, height: int = 48) -> Frames:
    data = np.stack([picture(k, width, height) for k in range(count)]).transpose(0, 3, 1, 2)
    return Frames(torch.from_numpy(data.copy()), fps=Fraction(24))


def written(video: Video, folder: Path) -> Path:
    path = folder / f"out{video.suffix}"
    path.write_bytes(video.data)
    return path


def test_the_file_has_every_frame(tmp_path: Path) -> None:
    video = EncodeVideo().run(RunContext(), frames=clip(300))
    assert dict(video.info) == {"width": 64, "height": 48, "fps": "24", "num_frames": 300, "codec": "h264"}
    path = written(video, tmp_path)
    info = probe(path)
    assert (info.frame_count, info.fps, info.codec) == (300, Fraction(24), "h264")
    assert {0, 128, 256} <= set(info.key_frames)
    back = VideoReader(path).read(290, 300).transpose(0, 3, 1, 2)
    assert np.abs(back.astype(int) - clip(300).tensor[290:].numpy()).mean() < 6


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_frames_of_every_kind(tmp_path: Path, dtype: str) -> None:
    base = clip(3)
    data = base.tensor if dtype == "uint8" else (base.tensor / 255).to(getattr(torch, dtype))
    lossless = EncodeVideo(codec="ffv1")
    for channels in (3, 4, 1):
        shaped = torch.cat([data, data[:, :1]], 1)[:, :channels]
        video = lossless.run(RunContext(), frames=Frames(shaped, fps=Fraction(12)))
        expected = base.tensor.permute(0, 2, 3, 1).numpy()
        expected = expected if channels != 1 else np.repeat(expected[..., :1], 3, axis=-1)
        assert (VideoReader(written(video, tmp_path)).read() == expected).all()


def test_sixteen_bits(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 64 * 48).reshape(1, 1, 48, 64).expand(2, 3, -1, -1)
    video = EncodeVideo(codec="ffv1", pixel_format="gbrp16le").run(
        RunContext(), frames=Frames(ramp, fps=Fraction(12))
    )
    back = ReadVideo(path=str(written(video, tmp_path)), dtype="float32").run(RunContext())
    assert (back.tensor - ramp).abs().max() < 1e-5


def test_odd_sizes_are_noted(tmp_path: Path) -> None:
    ctx = RunContext()
    video = EncodeVideo().run(ctx, frames=clip(2, 151, 101))
    assert (video.info["width"], video.info["height"]) == (152, 102)
    assert ctx.notes == ["151x101 does not fit yuv420p: padded to 152x102"]


def test_sound_is_carried_over(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "talk.mkv", 48, sound=True)
    video = EncodeVideo(audio=str(source), audio_start=1).run(RunContext(), frames=clip(24))
    with av.open(str(written(video, tmp_path))) as container:
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 16_000
    assert abs(seconds - 1) < 0.1
    silent = write_clip(tmp_path / "silent.mkv", 3)
    with pytest.raises(InputError, match="no audio stream"):
        EncodeVideo(audio=str(silent)).run(RunContext(), frames=clip(3))
    assert EncodeVideo(audio="talk.mkv").files(RunContext()) == {"audio": Path("talk.mkv")}


def test_settings_are_checked_before_the_run() -> None:
    faults = {
        "params.container": EncodeVideo(codec="h264", container="webm"),
        "params.crf": EncodeVideo(codec="ffv1", crf=3),
        "params.pixel_format": EncodeVideo(pixel_format="nonsense"),
        "params.audio": EncodeVideo(codec="gif", audio="a.mp4"),
    }
    for path, operator in faults.items():
        assert [fault.path for fault in operator.check({})] == [path]
    assert EncodeVideo(codec="av1", container="mkv", crf=63).check({}) == []


def test_frames_without_a_rate_or_without_frames() -> None:
    pictures = Frames(clip(2).tensor)
    with pytest.raises(RunError, match="carry none"):
        EncodeVideo().run(RunContext(), frames=pictures)
    assert EncodeVideo(fps=2).run(RunContext(), frames=pictures).info["fps"] == "2"
    with pytest.raises(RunError, match="at least one frame"):
        EncodeVideo().run(RunContext(), frames=clip(1).slice(0, 0))


@pytest.mark.sample(2)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("chunk", [16, 64])
def test_a_graph_gives_the_same_bytes_as_a_plain_call(tmp_path: Path, executor: str, chunk: int) -> None:
    source = write_clip(tmp_path / "a.mkv", 150)
    graph = fs.Graph("copy")
    read = graph.add("read", ReadVideo(path=str(source), width=48))
    graph.add("video", EncodeVideo(preset="fast"), frames=read)
    run = graph.run(cache_dir=tmp_path / "cache", executor=executor, chunk=chunk)
    plain = EncodeVideo(preset="fast").run(
        RunContext(), frames=ReadVideo(path=str(source), width=48).run(RunContext())
    )
    assert bytes(run["video"].data) == bytes(plain.data)
    assert run["video"].info == plain.info


def test_a_graph_with_a_fault_of_settings_does_not_load(tmp_path: Path) -> None:
    text = """
nodes:
  read: {op: read_video, params: {path: a.mp4}}
  video: {op: encode_video, inputs: {frames: read}, params: {container: gif}}
outputs: [video]
"""
    with pytest.raises(GraphError, match=r"nodes\.video\.params\.container"):
        fs.Graph.from_yaml(text)
