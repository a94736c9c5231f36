"""Reading what was written, ten times over, leaves colours and places where they were."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flowsynth.media.codecs import EncodeSettings, require_pixel_format
from flowsynth.media.errors import EncodeSettingsError
from flowsynth.media.mux import mux
from flowsynth.media.reader import VideoReader
from flowsynth.media.segments import encode_segment
from tests.media.color_maths import Array, centroid, spot

#: Codec, pixel format, container, best quality: drift in levels of 255 that ten generations may bring.
BEST = [
    ("h264", "yuv420p", ".mp4", 0, 1.0),
    ("h264", "yuv422p", ".mkv", 0, 1.0),
    ("h264", "yuv444p", ".mp4", 0, 1.0),
    ("h264", "yuvj420p", ".mp4", 0, 1.0),
    ("h264", "yuv420p10le", ".mp4", 0, 0.5),
    ("h264", "gray", ".mp4", 0, 1.0),
    ("h265", "yuv420p", ".mp4", 0, 1.0),
    ("h265", "yuv420p10le", ".mp4", 0, 0.5),
    ("h265", "yuv444p12le", ".mp4", 0, 0.5),
    ("h265", "yuv422p", ".mkv", 0, 1.0),
    ("h265", "yuvj422p", ".mp4", 0, 1.0),
    ("vp9", "yuv420p", ".webm", 0, 1.0),
    ("vp9", "yuv444p", ".webm", 0, 1.0),
    ("av1", "yuv420p", ".mp4", 1, 1.0),
    ("av1", "yuv420p10le", ".mkv", 1, 1.0),
    ("ffv1", "bgr0", ".mkv", None, 0.0),
    ("ffv1", "yuv420p", ".mkv", None, 1.0),
    ("ffv1", "yuv420p", ".avi", None, 1.0),
    ("ffv1", "yuv422p10le", ".mkv", None, 0.5),
    ("ffv1", "yuv444p12le", ".mkv", None, 0.2),
    ("ffv1", "gray", ".mkv", None, 0.0),
    ("ffv1", "gray10le", ".mkv", None, 0.1),
    ("ffv1", "gray16le", ".mkv", None, 0.0),
    ("ffv1", "gbrp16le", ".mkv", None, 0.0),
    ("webp", "bgra", ".webp", 0, 0.0),
    ("gif", "pal8", ".gif", None, 1.0),
]


def again(folder: Path, images: Array, settings: EncodeSettings) -> Array:
    encode_segment(iter(images), folder / "a.nut", settings)
    out = folder / f"a{settings.suffix}"
    mux([folder / "a.nut"], out, settings)
    return VideoReader(out, deep=settings.deep).read()


@pytest.mark.sample(7)
@pytest.mark.parametrize("case", BEST, ids=lambda case: "-".join(map(str, case[:3])))
def test_ten_generations(tmp_path: Path, case: tuple[str, str, str, int | None, float]) -> None:
    codec, pixel_format, suffix, crf, allowed = case
    settings = EncodeSettings(
        Fraction(25),
        codec,  # type: ignore[arg-type]
        crf=crf,
        preset="fast",
        pixel_format=pixel_format,
        suffix=suffix,
    )
    start = np.stack([spot()] * 3)
    start[1, :4, :4], start[2, :4, -4:] = 200, 90  # or an animation holds one picture for longer
    if "gray" in pixel_format:
        start = np.repeat(start[..., :1], 3, axis=-1)
    if settings.deep:
        start = start.astype(np.uint16) * np.uint16(257)
    limit, images = np.iinfo(start.dtype).max, start
    for _ in range(10):
        images = again(tmp_path, images, settings)
    drift = (images.astype(float) - start) * 255 / limit
    # Subsampled chroma blurs a little each time; the mean, which the eye follows, must stay.
    assert np.abs(drift.mean(axis=(0, 1, 2))).max() <= allowed, drift.mean(axis=(0, 1, 2))
    if "gray" not in pixel_format:
        assert abs(centroid(images[1, 8:]) - centroid(start[1, 8:])) < 0.06


@pytest.mark.parametrize("pixel_format", ["yuv411p", "yuv410p"])
def test_quarters_of_chroma_are_refused(pixel_format: str) -> None:
    """They moved a quarter of a pixel in ten generations."""
    settings = EncodeSettings(Fraction(25), "ffv1", pixel_format=pixel_format, suffix=".mkv")
    with pytest.raises(EncodeSettingsError, match="pixel_format"):
        require_pixel_format(settings)
