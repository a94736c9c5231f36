"""Files as phones, recorders and `cat` leave them: which frames they hold, and at which rate."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from flowsynth.media.errors import DecodeError, NoVideoStreamError, TruncatedMediaError
from flowsynth.media.orientation import exif_orientation, rotation_of
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from flowsynth.media.walk import Damage
from tests.media.conftest import picture

MakeClip = Callable[..., Path]
GOP = {"bf": "2", "g": "12", "sc_threshold": "0"}


def read_anyhow(path: Path, **options: Any) -> np.ndarray:
    """All frames; in whichever order they are asked for, they are the same."""
    with VideoReader(path, **options) as reader:
        whole = reader.read()
        for k in (len(whole) - 1, 0, len(whole) // 2, 1):
            assert (reader.read(k, k + 1)[0] == whole[k]).all()
    return whole


def remux(
    source: Path, target: Path, keep: Callable[[int, Any], bool] = lambda _n, _p: True, shift: int = 0
) -> Path:
    """Copies packets into another container, but for some, later by ``shift`` ticks."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(container.demux(video=0)):
            if packet.size and keep(number, packet):
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                output.mux(packet)
    return target


@pytest.mark.parametrize("offset", [0, 100 * 12_800])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_transport_streams_joined_byte_by_byte(
    make_clip: MakeClip, tmp_path: Path, codec: str, offset: int
) -> None:
    clip = make_clip("a.mp4", codec=codec, count=30, rate=25, options=GOP)
    parts = [remux(clip, tmp_path / f"{k}.ts", shift=shift) for k, shift in enumerate((0, offset))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(joined)
    assert (info.frame_count, info.fps, info.rate.variable) == (60, Fraction(25), False)
    assert "set anew" in " ".join(info.notes)
    once = VideoReader(clip).read()
    assert (read_anyhow(joined) == np.concatenate([once, once])).all()


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv", ".mp4", ".flv", ".webm"])
def test_a_file_that_starts_inside_a_group_of_pictures(
    make_clip: MakeClip, tmp_path: Path, suffix: str
) -> None:
    codec = {".mpg": "mpeg2video", ".webm": "libvpx-vp9"}.get(suffix, "libx264")
    name = "a.webm" if suffix == ".webm" else "a.mp4"
    clip = make_clip(name, codec=codec, count=48, rate=25, options=GOP)
    cut = remux(clip, tmp_path / f"cut{suffix}", keep=lambda number, _: number >= 8)
    whole = VideoReader(clip).read()
    with av.open(str(clip)) as container:
        keys = [k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    found = probe(cut)
    assert (found.frame_count, found.fps) == (48 - keys[1], Fraction(25))
    assert "inside a group of pictures" in found.notes[0]
    assert (read_anyhow(cut) == whole[keys[1] :]).all()


def drop_frames(make_clip: MakeClip, name: str, gone: Iterable[int], **options: Any) -> Path:
    ticks = [k for k in range(30) if k not in set(gone)]
    return make_clip(
        name, count=len(ticks), ticks=ticks, frame=lambda k: picture(ticks[k], 64, 48), **options
    )


@pytest.mark.parametrize("fields", ["tff=1", "bff=1", ""])
def test_interlaced_frames_are_said_to_be(make_clip: MakeClip, fields: str) -> None:
    path = make_clip("a.mp4", codec="libx264", count=3, options={"x264-params": fields} if fields else {})
    assert ["interlaced" in note for note in probe(path).notes] == [True] * bool(fields)


@pytest.mark.parametrize("gone", [[3], [1, 2, 9], []])
def test_an_empty_chunk_of_avi_repeats_the_frame_before(make_clip: MakeClip, gone: list[int]) -> None:
    path = drop_frames(make_clip, "a.avi", gone, codec="ffv1", pixel_format="bgr0", rate=25)
    frames = read_anyhow(path)
    assert VideoReader(path).fps == 25
    shown = [max(t for t in range(k + 1) if t not in gone) for k in range(30)]
    assert (frames == np.stack([picture(t, 64, 48) for t in shown])).all()


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_b_frames_is_in_order(make_clip: MakeClip, codec: str) -> None:
    path = make_clip("a.avi", codec=codec, count=30, rate=25, options={"bf": "2"})
    same = make_clip("a.mkv", codec=codec, count=30, rate=25, options={"bf": "2"})
    assert (read_anyhow(path) == VideoReader(same).read()).all()
    assert probe(path).fps == 25


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize(
    ("name", "codec"), [("a.h264", "libx264"), ("a.hevc", "libx265"), ("a.m2v", "mpeg2video")]
)
def test_a_raw_stream_has_its_own_headers_rate(
    make_clip: MakeClip, name: str, codec: str, rate: Fraction
) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    info = probe(make_clip(name, codec=codec, count=20, rate=rate, options=quiet))
    assert (info.frame_count, info.fps, info.duration) == (20, rate, 20 / rate)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_burst_and_a_still_keep_every_picture(make_clip: MakeClip, name: str) -> None:
    ticks = [*range(20), 99]
    path = make_clip(name, count=21, ticks=ticks, rate=60, options={"bf": "0"})
    frames = read_anyhow(path)
    assert VideoReader(path).fps == 60
    assert len(frames) == 100
    assert len({frame.tobytes() for frame in frames}) == 21


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(24)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_one_dropped_frame_leaves_the_rate(make_clip: MakeClip, name: str, rate: Fraction) -> None:
    path = drop_frames(make_clip, name, [17], rate=rate, options={"bf": "0"})
    reader = VideoReader(path)
    assert (reader.fps, len(reader), reader.info.frame_count) == (rate, 30, 29)
    assert [reader.timeline.source_index(k) for k in (15, 16, 17, 18)] == [15, 16, 16, 17]


def damaged(make_clip: MakeClip, name: str) -> Path:
    """A clip of key frames, one of which doesn't decode."""
    path = make_clip(name, codec="png", pixel_format="rgb24", count=12, rate=25)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [bytes(p) for p in container.demux(video=0) if p.size][5]
    place = data.index(packet)
    data[place : place + len(packet)] = b"\0" * len(packet)
    path.write_bytes(data)
    return path


def test_a_damaged_packet_fails_or_is_passed_over_as_asked(make_clip: MakeClip) -> None:
    path = damaged(make_clip, "a.mov")
    with pytest.raises(DecodeError, match="on_damage"):
        VideoReader(path).read()
    expected = [picture(k, 64, 48) for k in range(12)]
    repeated = read_anyhow(path, damage="repeat")
    assert (repeated == np.stack([*expected[:5], expected[4], *expected[6:]])).all()
    skipped = read_anyhow(path, damage="skip")
    assert (skipped == np.stack([*expected[:5], *expected[6:]])).all()
    modes: tuple[Damage, ...] = ("repeat", "skip")
    for damage in modes:
        info = probe(path, damage=damage)
        assert info.fps == 25
        assert "1 frames do not decode" in info.notes[0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_cameras_exif_is_no_fault_and_turns_the_picture(tmp_path: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Cam", turn
    stored = picture(2, 64, 48)
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "JPEG", exif=exif, quality=98, subsampling=0)
    path = tmp_path / "cam.mjpeg"
    path.write_bytes(buffer.getvalue() * 3)
    frames = read_anyhow(path)
    from PIL import ImageOps

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue()))).convert("RGB"))
    assert frames.shape == (3, *upright.shape)
    assert np.abs(frames[1].astype(int) - upright).mean() < 1.5
    assert rotation_of(exif_orientation(turn)) == probe(path).rotation


def two_streams(path: Path, default: int | None, languages: tuple[str, str] = ("eng", "deu")) -> Path:
    """A small red stream and a larger one, either of which may be the default."""
    with av.open(str(path), "w") as output:
        streams: list[Any] = []
        for place, size in enumerate(((32, 32), (96, 64))):
            stream: Any = output.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
            stream.disposition = av.stream.Disposition(int(place == default))
            stream.metadata["language"] = languages[place]
            streams.append(stream)
        for k in range(4):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture(k, stream.width, stream.height), "rgb24")
                frame.pts, frame.time_base = k, Fraction(1, 10)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("default", "width"), [(0, 32), (1, 96), (None, 96)])
def test_the_default_stream_is_read_and_else_the_largest(
    tmp_path: Path, default: int | None, width: int
) -> None:
    path = two_streams(tmp_path / "two.mkv", default)
    assert probe(path).width == width
    for wanted, found in ((0, 32), (1, 96), ("eng", 32), ("deu", 96)):
        frames = read_anyhow(path, stream=wanted)
        assert (frames[3] == picture(3, found, frames.shape[1])).all()
    with pytest.raises(NoVideoStreamError, match=r"'fra', found the video streams 0 \(eng\), 1 \(deu\)"):
        probe(path, stream="fra")
    with pytest.raises(NoVideoStreamError, match="video stream 2"):
        probe(path, stream=2)


def test_a_cut_off_avi_is_told_from_one_with_empty_places(make_clip: MakeClip) -> None:
    path = drop_frames(make_clip, "a.avi", [3, 29], codec="ffv1", pixel_format="bgr0", rate=25)
    data = path.read_bytes()
    assert struct.unpack_from("<I", data, data.index(b"avih") + 24) == (29,)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(TruncatedMediaError, match="as its header says"):
        probe(path)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_alpha_of_vp8_and_vp9_lies_over_the_background(make_clip: MakeClip, codec: str) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[..., 0], rgba[:, 32:, 3] = 200, 255
    path = make_clip(
        "a.webm",
        codec=codec,
        pixel_format="yuva420p",
        source_format="rgba",
        count=9,
        rate=10,
        frame=lambda _: rgba,
        options={"auto-alt-ref": "0", "crf": "4", "b": "1M", "g": "4"},
    )
    frames = read_anyhow(path, background=(255, 255, 255))
    assert len(frames) == 9
    assert (frames[:, 10, 5] > 250).all()
    assert np.abs(frames[:, 10, 60].astype(int) - (200, 0, 0)).max() < 12
