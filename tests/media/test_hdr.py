"""More than a usual screen's range: tags are carried, and tone curves are what their papers say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flowsynth.core.context import RunContext
from flowsynth.media.hdr import WHITE, hlg_to_light, light_to_pq, pq_to_light, tone_mapped
from flowsynth.media.rational import ToneMap
from flowsynth.media.reader import VideoReader
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_video import ReadVideo
from tests.media.color_maths import codes, write_frames, yuv_frame

PQ, HLG = {"color_primaries": 9, "color_trc": 16}, {"color_primaries": 9, "color_trc": 18}


def clip(path: Path, code: tuple[float, float, float], tags: dict[str, Any]) -> Path:
    planes = [np.full((32, 48), value) for value in codes(np.array(code), 9, False, 10)]
    frame = yuv_frame(planes, "yuv444p10le")
    return write_frames(path, [frame] * 3, "ffv1", colorspace=9, color_range=1, **tags)


def test_pq_and_hlg_are_those_of_bt2100() -> None:
    # BT.2408, table 1: white of 203 cd/m² is 58 % PQ and 75 % HLG on a screen of 1000.
    assert light_to_pq(np.array([0.0, 100.0, 203.0, 1000.0, 10_000.0])) == pytest.approx(
        [0, 0.508, 0.581, 0.752, 1], abs=1e-3
    )
    assert pq_to_light(light_to_pq(np.array([0.1, 50.0, 4000.0]))) == pytest.approx([0.1, 50, 4000])
    grey = hlg_to_light(np.array([[0.0] * 3, [0.75] * 3, [1.0] * 3]))
    assert grey[:, 1] == pytest.approx([0, 203, 1000], abs=1.5)


@pytest.mark.parametrize("curve", ["hable", "bt2390"])
def test_tone_curves(curve: ToneMap) -> None:
    nits = np.array([0.0, 0.05, 5, 50, 203, 500, 1000, 4000])
    picture = np.rint(np.repeat(light_to_pq(nits)[:, None], 3, axis=1) * 65_535).astype(np.uint16)
    shown = tone_mapped(picture[None], "bt2020/smpte2084", curve, peak=1000)[0]
    light = (shown / 65_535) ** 2.4 * WHITE
    assert (shown == shown[:, :1]).all(), "grey stays grey"
    assert shown[0].tolist() == [0, 0, 0]
    assert shown[6].tolist() == shown[7].tolist() == [65_535] * 3, (
        "the peak is white, and nothing is brighter"
    )
    assert (np.diff(light[:7, 0]) > 0).all()
    if curve == "bt2390":
        # Under the knee it is a line: 1.5 * 0.581 - 0.5 * 0.752 of PQ, which is 55 cd/m².
        assert light[1:4, 0] == pytest.approx(nits[1:4], rel=0.01)
        assert 100 < light[4, 0] < 203
    else:
        # Hable's curve at 203 and 1000 cd/m², with white at 1 and 1000/203.
        expected = [
            (x * (x * 0.15 + 0.05) + 0.004) / (x * (x * 0.15 + 0.5) + 0.06) - 0.02 / 0.3
            for x in (1, 1000 / 203)
        ]
        assert light[4, 0] / WHITE == pytest.approx(expected[0] / expected[1], rel=1e-3)


def test_a_tone_map_keeps_the_hue_and_turns_the_primaries() -> None:
    red = light_to_pq(np.array([100.0, 0, 0]))
    shown = tone_mapped(np.rint(red * 65_535).astype(np.uint16)[None, None], "bt2020/smpte2084", "bt2390")[
        0, 0
    ]
    assert shown[0] > 0.8 * 65_535
    assert shown[1:].tolist() == [0, 0], "BT.2020's red lies outside of BT.709"


@pytest.mark.parametrize("tags", [PQ, HLG])
def test_tags_are_carried_to_the_written_file(tmp_path: Path, tags: dict[str, int]) -> None:
    source = clip(tmp_path / "a.mkv", (0.58, 0.40, 0.30), tags)
    ctx = RunContext()
    frames = ReadVideo(path=str(source), dtype="float32").run(ctx)
    assert "tone_map" in ctx.notes[0]
    assert frames.tensor[0, :, 8, 8].tolist() == pytest.approx([0.58, 0.40, 0.30], abs=2e-3)
    for codec, pixel_format in (("h264", "yuv420p10le"), ("h265", "yuv420p10le"), ("ffv1", "yuv444p10le")):
        video = EncodeVideo(codec=codec, pixel_format=pixel_format, fps=25).run(RunContext(), frames=frames)
        out = tmp_path / f"out{video.suffix}"
        out.write_bytes(video.data)
        with av.open(str(out)) as container:
            frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries) == (9, 9)
        assert frame.color_trc == tags["color_trc"]
        back = VideoReader(out, deep=True).read()[0, 8, 8] / 65_535
        assert back == pytest.approx([0.58, 0.40, 0.30], abs=6e-3)


def test_a_tone_mapped_clip_is_an_ordinary_one(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", (0.581, 0.581, 0.581), PQ)
    ctx = RunContext()
    for dtype, unit in (("uint8", 255), ("float32", 1)):
        frames = ReadVideo(path=str(source), tone_map="bt2390", dtype=dtype).run(ctx)
        assert (frames.colour, frames.kind, ctx.notes) == ("", "rgb", [])
        light = (frames.tensor[0, :, 8, 8].float() / unit) ** 2.4
        assert 0.5 < light.min() == light.max() < 1
    video = EncodeVideo(fps=Fraction(25)).run(RunContext(), frames=frames)
    (tmp_path / "out.mp4").write_bytes(video.data)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)


def test_a_usual_clip_is_left_as_it_is(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", (0.7, 0.4, 0.3), {"color_primaries": 1, "color_trc": 1})
    plain, mapped = VideoReader(source), VideoReader(source, tone_map="hable")
    assert plain.notes == ()
    assert (plain.read() == mapped.read()).all()
