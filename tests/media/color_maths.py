"""Colours by arithmetic (ITU-T H.273, equations 20 to 57), to judge readers and writers by."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Kr and Kb by H.273's number of the matrix.
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def codes(rgb: Array, matrix: int, full: bool, bits: int) -> Array:
    """Y, Cb, Cr as whole numbers for RGB in [0, 1], (..., 3)."""
    kr, kb = LUMA[matrix]
    luma = rgb @ np.array((kr, 1 - kr - kb, kb))
    blue, red = (rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)
    top, unit = (1 << bits) - 1, 1 << (bits - 8)
    if full:
        y, chroma = luma * top, np.stack([blue, red], -1) * top + 128 * unit
    else:
        y, chroma = (219 * luma + 16) * unit, (224 * np.stack([blue, red], -1) + 128) * unit
    whole: Array = np.clip(np.rint(np.concatenate([y[..., None], chroma], -1)), 0, top).astype(np.int64)
    return whole


def yuv_frame(planes: list[Array], pixel_format: str) -> av.VideoFrame:
    """A frame of these very codes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    kind = "u1" if frame.format.components[0].bits == 8 else "<u2"
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def write_frames(
    path: Path,
    frames: list[av.VideoFrame],
    codec: str,
    *,
    options: dict[str, str] | None = None,
    rate: Fraction = Fraction(25),
    **tags: int,
) -> Path:
    """Encodes frames as they are; tags are attributes of the codec context, such as ``colorspace``."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = frames[0].format.name
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for k, frame in enumerate(frames):
            frame.pts, frame.time_base = k, 1 / rate
            for name, value in tags.items():
                setattr(frame, name, value)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def centroid(image: Array) -> float:
    """Where, in pixels, the colour of a picture's spot lies across."""
    weight = image[image.shape[0] // 2, :, 0].astype(float) - image[image.shape[0] // 2, :, 1]
    weight = weight - np.median(weight)
    return float((weight * np.arange(len(weight))).sum() / weight.sum())


def spot(width: int = 64, height: int = 48) -> Array:
    """A reddish spot in the middle of grey, of even luma."""
    glow = np.exp(-(((np.arange(width) - (width - 1) / 2) / 5) ** 2))
    image = np.full((height, width, 3), 100.0)
    image[..., 0] += 90 * glow
    image[..., 1] -= 26.7 * glow
    rounded: Array = image.round().astype(np.uint8)
    return rounded
