from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flowsynth.media.errors import DecodeError, MediaRangeError, TruncatedMediaError
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from tests.media.conftest import cut, picture

MakeClip = Callable[..., Path]

_X265 = "log-level=none:keyint=12:min-keyint=12:scenecut=0"
CODECS = {
    "h264 with B-frames": ("a.mp4", "libx264", {"bf": "3", "g": "16"}),
    "h264 of open GOPs": (
        "a.mp4",
        "libx264",
        {"bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"},
    ),
    "h264 of open GOPs, mkv": (
        "a.mkv",
        "libx264",
        {"bf": "3", "x264-params": "open-gop=1:keyint=12:scenecut=0"},
    ),
    "h264 with gradual refresh": ("a.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    "h265 of open GOPs": ("a.mp4", "libx265", {"x265-params": _X265 + ":open-gop=1:bframes=4"}),
    "transport stream": ("a.ts", "libx264", {"bf": "2", "g": "16"}),
    "mpeg-2 of open GOPs": ("a.mpg", "mpeg2video", {"bf": "2", "g": "12"}),
    "mpeg-4 in avi": ("a.avi", "mpeg4", {"g": "12"}),
    "raw h264": ("a.h264", "libx264", {"bf": "2", "g": "16"}),
    "vp9 with hidden frames": ("a.webm", "libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
    "vp8 with hidden frames": ("a.webm", "libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "gif": ("a.gif", "gif", {}),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("case", CODECS)
def test_frames_have_the_same_bits_whichever_way_they_are_reached(make_clip: MakeClip, case: str) -> None:
    name, codec, options = CODECS[case]
    pixel_format = "rgb8" if codec == "gif" else "yuv420p"
    path = make_clip(name, codec=codec, options=options, count=72, pixel_format=pixel_format, rate=25)
    with VideoReader(path) as reader:
        whole = reader.read()
        assert len(whole) == reader.info.frame_count == 72
        assert len({frame.tobytes() for frame in whole}) > 60
        order = np.random.default_rng(0).permutation(72)
        for k in (*order, 71, 0, 71, 11, 12, 10):
            stop = min(72, k + 3)
            assert (reader.read(int(k), int(stop)) == whole[k:stop]).all(), f"{case}: frame {k}"
    with VideoReader(path) as fresh:
        assert (fresh.read(40, 50) == whole[40:50]).all()


def test_lossless_colour_comes_back_exactly(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", codec="ffv1", pixel_format="bgr0", count=5, size=(151, 101))
    frames = VideoReader(path).read()
    assert frames.dtype == np.uint8
    assert all((frames[k] == picture(k, 151, 101)).all() for k in range(5))


def test_odd_size_in_420(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", codec="ffv1", pixel_format="yuv420p", count=3, size=(151, 101))
    frames = VideoReader(path).read()
    assert frames.shape == (3, 101, 151, 3)
    assert np.abs(frames[1].astype(int) - picture(1, 151, 101)).mean() < 6


def test_grey_becomes_three_equal_channels(make_clip: MakeClip) -> None:
    ramp = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64) % 256
    path = make_clip(
        "a.mkv",
        codec="ffv1",
        pixel_format="gray",
        source_format="gray",
        count=2,
        frame=lambda _: ramp.astype(np.uint8),
    )
    frames = VideoReader(path).read()
    assert (frames == ramp[None, :, :, None]).all()


@pytest.mark.parametrize("deep", [True, False])
def test_sixteen_bit(make_clip: MakeClip, deep: bool) -> None:
    wide = picture(3, 64, 48, np.uint16)
    path = make_clip(
        "a.mkv", codec="ffv1", pixel_format="gbrp16le", source_format="rgb48le", count=2, frame=lambda _: wide
    )
    reader = VideoReader(path, deep=deep)
    frames = reader.read()
    assert reader.info.bit_depth == 16
    if deep:
        assert frames.dtype == np.uint16
        assert (frames[1] == wide).all()
        assert VideoReader(path, deep=True, width=32).read().shape == (2, 24, 32, 3)
    else:
        assert np.abs(frames[1].astype(int) - wide / 257).max() < 1.5


def test_alpha_lies_over_the_background(make_clip: MakeClip) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:, :, 0] = 200
    rgba[:, 20:40, 3] = 128
    rgba[:, 40:, 3] = 255
    path = make_clip(
        "a.mkv", codec="ffv1", pixel_format="bgra", source_format="rgba", count=1, frame=lambda _: rgba
    )
    frame = VideoReader(path, background=(0, 0, 255)).read()[0]
    assert frame[0, 0].tolist() == [0, 0, 255]
    assert frame[0, 30].tolist() == [100, 0, 127]
    assert frame[0, 50].tolist() == [200, 0, 0]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0)]


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
@pytest.mark.parametrize("mirror", [False, True])
def test_rotation_metadata_is_applied(make_clip: MakeClip, degrees: int, turns: int, mirror: bool) -> None:
    paths = make_clip("p.mp4", count=2), make_clip("r.mp4", count=2, rotation=(degrees, mirror))
    coded = [packets(path) for path in paths]
    assert coded[0] == coded[1], "the encoder gave other bits: nothing can be said of the reader"
    plain, turned = (VideoReader(path).read() for path in paths)
    expected = np.rot90(plain, turns, axes=(1, 2))
    assert (turned == (np.flip(expected, 2) if mirror else expected)).all()


def test_pixels_that_are_not_square_are_stretched(make_clip: MakeClip) -> None:
    path = make_clip(aspect=Fraction(2), count=1)
    assert VideoReader(path).read().shape == (1, 48, 128, 3)
    assert VideoReader(path, width=64, height=24).read().shape == (1, 24, 64, 3)


def test_crop_to_aspect_then_resize(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", codec="ffv1", pixel_format="bgr0", count=1, size=(96, 48))
    square = VideoReader(path, width=48, height=48).read()[0]
    assert (square == picture(0, 96, 48)[:, 24:72]).all()
    assert VideoReader(path, width=65).read().shape[1:3] == (32, 65)
    # The short side stands back where width or height is given.
    assert VideoReader(path, short_side=24).read().shape[1:3] == (24, 48)
    assert VideoReader(path, short_side=24, width=65).read().shape[1:3] == (32, 65)
    assert VideoReader(path, height=33).read().shape[1:3] == (33, 66)


def test_lower_and_higher_rates_pick_the_frame_on_screen(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", codec="ffv1", pixel_format="bgr0", count=50, rate=25)
    every = VideoReader(path).read()
    slow = VideoReader(path, fps=10)
    assert [slow.timeline.source_index(k) for k in range(6)] == [0, 2, 5, 7, 10, 12]
    assert len(slow) == 20
    assert (slow.read(3, 6) == every[[7, 10, 12]]).all()
    fast = VideoReader(path, fps=60, max_frames=7)
    assert [fast.timeline.source_index(k) for k in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    assert (fast.read() == every[[0, 0, 0, 1, 1, 2, 2]]).all()


@pytest.mark.parametrize("rate", [24, 30, Fraction(30000, 1001), Fraction(24000, 1001)])
def test_rounded_timestamps_do_not_repeat_frames(make_clip: MakeClip, rate: Fraction) -> None:
    # Matroska stores milliseconds: 1/24 s becomes 42 ms, later than the true instant.
    reader = VideoReader(make_clip("a.mkv", count=100, rate=rate), fps=rate)
    assert [reader.timeline.source_index(k) for k in range(len(reader))] == list(range(100))


def test_variable_rate_runs_true_to_time(make_clip: MakeClip) -> None:
    ticks = [0, 100, 200, 600, 633, 667, 1000]
    path = make_clip("v.mkv", count=7, ticks=ticks, time_base=Fraction(1, 1000), options={"bf": "2"})
    reader = VideoReader(path, fps=10)
    shown = [reader.timeline.source_index(k) for k in range(len(reader))]
    assert shown[:11] == [0, 1, 2, 2, 2, 2, 3, 5, 5, 5, 6]
    thirds = VideoReader(path, fps=30)
    assert [thirds.timeline.source_index(k) for k in (18, 19, 20)] == [3, 4, 5]
    # All of it lies on thirtieths, so that no picture need be lost.
    assert VideoReader(path).fps == 30
    whole = reader.read()
    assert (whole[2] == whole[5]).all()
    assert (reader.read(7, 9) == whole[7:9]).all()


def test_a_rate_that_wavers_becomes_the_usual_one(make_clip: MakeClip) -> None:
    ticks = [int(k * 1000 / 29.93 + 3 * (k % 3)) for k in range(90)]
    path = make_clip("v.mkv", count=90, ticks=ticks, time_base=Fraction(1, 1000), options={"bf": "0"})
    assert VideoReader(path).info.rate.variable
    assert VideoReader(path).fps == Fraction(30000, 1001)


def test_ranges(make_clip: MakeClip) -> None:
    path = make_clip(count=48, rate=24)
    ranges: list[tuple[dict[str, Any], int, int]] = [
        ({"start": 0.5}, 12, 36),
        ({"start": "36f"}, 36, 12),
        ({"start": "0:01"}, 24, 24),
        ({"start": "10f", "end": "20f"}, 10, 10),
        ({"start": 0.5, "end": 1, "fps": 12}, 12, 6),
        ({"end": 99}, 0, 48),
        ({"end": "99f"}, 0, 48),
        ({"start": 1, "max_frames": 5}, 24, 5),
    ]
    for options, first, count in ranges:
        reader = VideoReader(path, **options)
        assert (reader.timeline.source_index(0), len(reader)) == (first, count), options


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"start": 2}, "past its end"),
        ({"start": "48f"}, "past its end"),
        ({"start": 1, "end": 1}, "end 1"),
        ({"max_frames": 0}, "max_frames"),
        ({"width": 0}, "width"),
        ({"height": -8}, "height"),
        ({"width": 10**9}, "width"),
    ],
)
def test_empty_ranges_and_sizes_are_refused(
    make_clip: MakeClip, options: dict[str, object], found: str
) -> None:
    with pytest.raises(MediaRangeError, match=found):
        VideoReader(make_clip(count=48), **options)  # type: ignore[arg-type]


def test_a_file_cut_after_its_probe_names_the_frame(make_clip: MakeClip) -> None:
    path = make_clip(count=120, container={"movflags": "faststart"}, options={"g": "30"})
    info = probe(path)
    reader = VideoReader(cut(path, 0.6), info=info)
    with pytest.raises(TruncatedMediaError) as caught:
        reader.read()
    missing = caught.value.frame
    assert 0 < missing < 120
    with pytest.raises((TruncatedMediaError, DecodeError)):
        reader.read(110, 120)
    assert reader.read(0, missing).shape[0] == missing


def test_reading_forward_never_seeks(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowsynth.media.cursor import FrameCursor

    def refuse(*_: object) -> bool:
        raise AssertionError("sought")

    monkeypatch.setattr(FrameCursor, "_seek", refuse)
    with VideoReader(make_clip(count=60, options={"g": "10"})) as reader:
        for begin in range(0, 60, 7):
            reader.read(begin, min(60, begin + 7))
