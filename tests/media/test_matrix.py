"""Containers x codecs x pixel formats x depth x range x matrix x siting x rates, by arithmetic."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flowsynth.media.reader import VideoReader
from tests.media.color_maths import LUMA, Array, centroid, codes, spot, write_frames, yuv_frame

#: As `flowsynth.media.codecs` calls x265, which otherwise reads memory that it never wrote.
QUIET = {"x265-params": "log-level=none:lossless=1:pools=none:frame-threads=1:weightp=0:cutree=0"}
#: Codec: options that lose nothing, containers that keep its tags, pixel formats.
LOSSLESS = {
    "ffv1": ({}, (".mkv",), ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le", "yuv444p16le")),
    "libx264": ({"qp": "0"}, (".mp4", ".mov", ".mkv"), ("yuv420p", "yuv444p", "yuv420p10le", "yuvj420p")),
    "libx265": (QUIET, (".mp4", ".mkv"), ("yuv420p", "yuv420p10le", "yuv444p12le")),
    "libvpx-vp9": ({"lossless": "1"}, (".webm",), ("yuv420p", "yuv444p")),
}
COLOURS = (
    np.array([(200, 30, 30), (30, 200, 60), (20, 40, 220), (255, 255, 255), (0, 0, 0), (128, 128, 128)]) / 255
)
RATES = (Fraction(25), Fraction(30000, 1001), Fraction(12))
CASES = [
    (codec, suffix, pixel_format, matrix, full)
    for codec, (_, suffixes, formats) in LOSSLESS.items()
    for suffix, pixel_format in itertools.product(suffixes, formats)
    for matrix, full in itertools.product(LUMA, (False, True))
]


def flat(colour: Array, pixel_format: str, matrix: int, full: bool, size: tuple[int, int]) -> list[Array]:
    bits = 8 if "le" not in pixel_format else int(pixel_format.removesuffix("le")[-2:])
    across = 1 if "444" in pixel_format else 2
    down = 2 if "420" in pixel_format else 1
    y, blue, red = codes(colour, matrix, full, bits)
    chroma = (size[1] // down, size[0] // across)
    return [np.full((size[1], size[0]), y), np.full(chroma, blue), np.full(chroma, red)]


def check(tmp_path: Path, case: tuple[str, str, str, int, bool], rate: Fraction, tagged: bool = True) -> None:
    codec, suffix, pixel_format, matrix, full = case
    full = full or pixel_format.startswith("yuvj")
    frames = [yuv_frame(flat(c, pixel_format, matrix, full, (64, 48)), pixel_format) for c in COLOURS]
    tags = {"colorspace": matrix, "color_range": 2 if full else 1} if tagged else {}
    path = write_frames(
        tmp_path / f"a{suffix}", frames, codec, options=dict(LOSSLESS[codec][0]), rate=rate, **tags
    )
    for deep in (False, True):
        reader = VideoReader(path, deep=deep)
        read = reader.read()
        assert (reader.fps, len(read)) == (rate, len(COLOURS))
        limit = np.iinfo(read.dtype).max
        # Codes are whole numbers: of the stored depth, chroma's error more than doubled on the way to blue.
        step = 1.2 / (1 << (min(reader.info.bit_depth, 12) if deep else 8))
        error = np.abs(read[:, 20, 30] / limit - COLOURS).max()
        assert error <= 1.6 * step, f"{case}: {read[:, 20, 30] / limit} for {COLOURS}"


@pytest.mark.parametrize("number", range(0, len(CASES), 7))
def test_a_sample_of_all(tmp_path: Path, number: int) -> None:
    check(tmp_path, CASES[number], RATES[number % 3])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_all(tmp_path: Path, case: tuple[str, str, str, int, bool]) -> None:
    for rate in RATES:
        check(tmp_path, case, rate)


@pytest.mark.parametrize(
    ("size", "matrix"), [((640, 576), 5), ((640, 578), 1), ((1278, 536), 5), ((1280, 536), 1), ((64, 48), 5)]
)
def test_untagged_colours_are_taken_as_players_do(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    frame = yuv_frame(flat(COLOURS[0], "yuv420p", matrix, False, size), "yuv420p")
    read = VideoReader(write_frames(tmp_path / "a.nut", [frame], "ffv1")).read()[0, 20, 20]
    assert np.abs(read / 255 - COLOURS[0]).max() < 2.5 / 255


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("full", [False, True])
def test_white_black_and_grey_are_exact_at_every_depth(tmp_path: Path, bits: int, full: bool) -> None:
    pixel_format = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    grey = np.array([[0.0] * 3, [0.5] * 3, [1.0] * 3])
    frames = []
    for value in grey:
        planes = [np.full((16, 32), code) for code in codes(value, 1, full, bits)]
        frames.append(yuv_frame(planes, pixel_format))
    path = write_frames(
        tmp_path / "a.mkv", frames, "ffv1", options={"strict": "-2"}, colorspace=1, color_range=1 + full
    )
    read = VideoReader(path, deep=True).read()[:, 8, 8]
    limit = np.iinfo(read.dtype).max
    assert read[0].tolist() == [0] * 3
    assert read[2].tolist() == [limit] * 3
    assert np.abs(read[1] / limit - 0.5).max() < 0.6 / (1 << min(bits, 12)) + 1.5 / 256 * (bits == 8)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("tagged", [0, 1, 2])
def test_grey_follows_its_range(tmp_path: Path, bits: int, tagged: int) -> None:
    name = "gray" if bits == 8 else f"gray{bits}le"
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    black, white = (16 * unit, 235 * unit) if tagged == 1 else (0, top)
    values = (black, white, (black + white) // 2)
    frames = [yuv_frame([np.full((16, 32), value)], name) for value in values]
    path = write_frames(tmp_path / "a.mkv", frames, "ffv1", color_range=tagged)
    for deep in (False, True):
        read = VideoReader(path, deep=deep).read()[:, 8, 8]
        limit = np.iinfo(read.dtype).max
        expected = np.array([0, 1, (values[2] - black) / (white - black)])
        assert np.abs(read / limit - expected[:, None]).max() < 0.8 / (
            256 if not deep else min(limit, 1 << bits)
        )


@pytest.mark.parametrize("codec", ["libx264", "libx265", "ffv1", "libvpx-vp9"])
@pytest.mark.parametrize("location", ["left", "center", "topleft", None])
def test_chroma_is_read_where_it_lies(tmp_path: Path, codec: str, location: str | None) -> None:
    if codec in ("ffv1", "libvpx-vp9") and location is not None:
        pytest.skip("PyAV writes no chroma location into these containers")
    image = codes(spot() / 255, 1, False, 8)
    shift = 0.5 if location == "center" else 0.0
    across = np.arange(0, 64, 2) + shift
    planes = [image[..., 0]]
    for part in (1, 2):
        row = np.interp(across, np.arange(64), image[0, :, part].astype(float))
        planes.append(np.broadcast_to(row.round(), (24, 32)))
    options = dict(LOSSLESS[codec][0]) | ({"chroma_sample_location": location} if location else {})
    # Eight: fewer than its delay have decoding times out of unset memory (x265 4.2), which no MP4 takes.
    path = write_frames(
        tmp_path / f"a{LOSSLESS[codec][1][0]}",
        [yuv_frame(planes, "yuv420p") for _ in range(8)],
        codec,
        options=options,
        colorspace=1,
        color_range=1,
    )
    assert abs(centroid(VideoReader(path).read()[0]) - 31.5) < 0.08


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv444p10le"])
def test_ycgco_is_no_other_matrix(tmp_path: Path, full: bool, pixel_format: str) -> None:
    bits = 10 if "10" in pixel_format else 8
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    frames = []
    for red, green, blue in COLOURS:
        y = green / 2 + (red + blue) / 4
        chroma = np.array([green / 2 - (red + blue) / 4, (red - blue) / 2])
        luma = y * top if full else (219 * y + 16) * unit
        cg, co = chroma * (top if full else 224 * unit) + 128 * unit
        shape = (24, 32) if "420" in pixel_format else (48, 64)
        planes = [np.full((48, 64), round(luma)), *(np.full(shape, min(round(c), top)) for c in (cg, co))]
        frames.append(yuv_frame(planes, pixel_format))
    options = dict(LOSSLESS["libx264"][0])
    path = write_frames(
        tmp_path / "a.mp4", frames, "libx264", options=options, colorspace=8, color_range=1 + full
    )
    for deep in (False, True):
        read = VideoReader(path, deep=deep).read()[:, 20, 30]
        assert np.abs(read / np.iinfo(read.dtype).max - COLOURS).max() < 2.2 / (1 << (bits if deep else 8))
