"""The perceptually weighted PSNR of FFmpeg (Helmrich et al., "XPSNR", ICASSP 2020)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.color import fill_plane

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Array = npt.NDArray[Any]

#: 8 bits: with more the filter compares what lies beyond the rows of some widths (FFmpeg 8.0).
_FORMAT, _TOP = "gray", 255
#: Pixels below which the filter's blocks have no side, and it divides by zero.
LEAST_PIXELS = 2304


def weighted_error(before: tuple[Array, Array], now: tuple[Array, Array]) -> float:
    """The weighted mean squared error of a frame's luma, in units of the range.

    How much of an error is seen depends on how busy the reference is there, in the picture and since the
    frame before it.

    Args:
        before: Reference and picture at the frame before, (H, W) in [0, 1].
        now: Reference and picture.

    Raises:
        ValueError: fewer than :data:`LEAST_PIXELS` pixels.
    """
    if now[0].size < LEAST_PIXELS:
        raise ValueError(f"expected frames of {LEAST_PIXELS} pixels or more, given {now[0].size}")
    graph, inputs = _graph(now[0].shape)
    for place, frames in enumerate((before, now)):
        for source, luma in zip(inputs, frames, strict=True):
            source.push(_frame(luma, place))
    figures = [float(dict(graph.pull().metadata)["lavfi.xpsnr.xpsnr.y"]) for _ in range(2)]
    return float(10 ** (-figures[1] / 10))


def _graph(shape: tuple[int, ...]) -> tuple[Any, list[Any]]:
    from av.filter import Graph

    graph: Any = Graph()
    graph.threads = 1
    size = {"width": shape[1], "height": shape[0], "format": _FORMAT, "time_base": Fraction(1, 25)}
    inputs = [graph.add_buffer(**size) for _ in range(2)]
    compare = graph.add("xpsnr")
    for place, source in enumerate(inputs):
        source.link_to(compare, 0, place)
    compare.link_to(graph.add("buffersink"))
    graph.configure()
    return graph, inputs


def _frame(luma: Array, place: int) -> VideoFrame:
    from av import VideoFrame

    frame = VideoFrame(luma.shape[1], luma.shape[0], _FORMAT)
    fill_plane(frame.planes[0], np.rint(luma.clip(0, 1) * _TOP).astype("u1"))
    frame.pts, frame.time_base = place, Fraction(1, 25)
    return frame
