"""Figures that FFmpeg gives too, judged by its own filters over whole clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from av.filter import Graph

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.measure.measure import Measure
from flowsynth.operators.size.resize import Resize
from flowsynth.values import Frames
from tests.media.color_maths import yuv_frame
from tests.operators.media_files import write_clip

Array = npt.NDArray[Any]
COUNT, HEIGHT, WIDTH = 7, 64, 96


def grey_clip(seed: int, change: float) -> Array:
    """Grey pictures of whole levels with detail and some motion, (T, H, W) uint8."""
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 120, (HEIGHT, WIDTH)).astype(float)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    moving = [60 + 60 * np.sin((x + change * k) / 7) * np.cos(y / 9) for k in range(COUNT)]
    clip: Array = np.clip(still / 4 + np.stack(moving), 0, 255).astype(np.uint8)
    return clip


def frames(clip: Array) -> Frames:
    return Frames(torch.from_numpy(np.repeat(clip[:, None], 3, axis=1)), fps=Fraction(25))


def by_filter(name: str, options: str, *clips: Array, pixel_format: str = "gray") -> list[dict[str, str]]:
    """A filter's metadata for each frame."""
    graph: Any = Graph()
    graph.threads = 1
    base = Fraction(1, 25)
    inputs = [
        graph.add_buffer(width=WIDTH, height=HEIGHT, format=pixel_format, time_base=base) for _ in clips
    ]
    filtering = graph.add(name, options)
    for place, source in enumerate(inputs):
        source.link_to(filtering, 0, place)
    filtering.link_to(graph.add("buffersink"))
    graph.configure()
    facts = []
    for k in range(COUNT):
        for source, clip in zip(inputs, clips, strict=True):
            planes = [clip[k]]
            if pixel_format != "gray":
                planes += [np.full((HEIGHT // 2, WIDTH // 2), 128)] * 2
            frame = yuv_frame(planes, pixel_format)
            frame.pts, frame.time_base, frame.color_range = k, base, 2
            source.push(frame)
        facts.append(dict(graph.pull().metadata))
    return facts


def test_si_and_ti_are_those_of_ffmpeg() -> None:
    clip = grey_clip(0, 3.0)
    values = Measure(extended=True).run(RunContext(), frames=frames(clip)).values
    facts = by_filter("siti", "", clip, pixel_format="yuv420p")
    si = [float(fact["lavfi.siti.si"]) for fact in facts]
    ti = [float(fact["lavfi.siti.ti"]) for fact in facts][1:]
    assert values["spatial_information"] == pytest.approx(np.mean(si), rel=1e-3)
    assert values["temporal_information"] == pytest.approx(np.mean(ti), rel=1e-3)
    assert np.mean(ti) > 1


def test_temporal_flickering_is_one_less_the_mean_change() -> None:
    clip = np.stack([np.full((HEIGHT, WIDTH), 100 + 10 * (k % 2), np.uint8) for k in range(COUNT)])
    values = Measure(extended=True).run(RunContext(), frames=frames(clip)).values
    assert values["temporal_flickering"] == pytest.approx(1 - 10 / 255, abs=1e-6)
    steady = Measure(extended=True).run(RunContext(), frames=frames(clip[:1].repeat(4, 0))).values
    assert steady["temporal_flickering"] == 1


def test_xpsnr_is_that_of_ffmpeg() -> None:
    reference = grey_clip(1, 4.0)
    noise = np.random.default_rng(2).integers(-6, 7, reference.shape)
    clip = np.clip(reference + noise, 0, 255).astype(np.uint8)
    measured = Measure(extended=True).run(RunContext(), frames=frames(clip), reference=frames(reference))
    decibels = [float(fact["lavfi.xpsnr.xpsnr.y"]) for fact in by_filter("xpsnr", "", reference, clip)]
    # FFmpeg's mean is of the roots of errors.
    mean = -20 * np.log10(np.mean([10 ** (-each / 20) for each in decibels[1:]]))
    assert measured.values["xpsnr"] == pytest.approx(mean, abs=0.02)
    equal = Measure(extended=True).run(RunContext(), frames=frames(clip), reference=frames(clip)).values
    assert equal["xpsnr"] is None


def test_chunks_give_the_figures_of_the_whole(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", 20)
    found = []
    for chunk in (3, 16):
        graph = fs.Graph("measured")
        read = graph.add("read", ReadVideo(path=str(source)))
        soft = graph.add("soft", Resize(width=64, height=48), frames=read)
        graph.add("figures", Measure(extended=True), frames=soft, reference=read)
        run = graph.run(cache_dir=tmp_path / f"cache{chunk}", chunk=chunk, outputs=["figures.values"])
        found.append(run["figures.values"])
    assert found[0].keys() == found[1].keys()
    assert {"xpsnr", "spatial_information"} <= found[0].keys()
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, abs=1e-9) if isinstance(value, float) else True


def test_small_frames_are_refused_and_usual_figures_stay() -> None:
    small = Frames(torch.rand(3, 3, 32, 40), fps=Fraction(25))
    with pytest.raises(RequestError, match="2304 pixels or more, given 40x32"):
        Measure(extended=True).run(RunContext(), frames=small, reference=small)
    plain = Measure().run(RunContext(), frames=small).values
    assert plain.keys() == {"frames", "flicker", "warping_error", "sharpness"}
