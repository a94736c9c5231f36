"""Detectors of `annotate`: functions of one frame. A learned detector joins by an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class DetectorParams(Protocol):
    """Parameters of `annotate` that detectors read."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def sigma(self) -> float | None: ...
    @property
    def color(self) -> bool: ...


Detector = Callable[["Tensor", DetectorParams], "Tensor"]


def detect_canny(frame: Tensor, params: DetectorParams) -> Tensor:
    """White one-pixel edges on black."""
    from flowsynth.functional.picture.edges import canny

    sigma = 1.0 if params.sigma is None else params.sigma
    return canny(frame, low=params.low, high=params.high, sigma=sigma, color=params.color)


def detect_luma(frame: Tensor, params: DetectorParams) -> Tensor:
    """Brightness without colour."""
    del params
    from flowsynth.functional.picture.color import luma

    return luma(frame)


def detect_tile(frame: Tensor, params: DetectorParams) -> Tensor:
    """Pass the frame through: tile models take the picture itself."""
    del params
    return frame


def detect_blur(frame: Tensor, params: DetectorParams) -> Tensor:
    """Colour without detail."""
    from flowsynth.functional.picture.blur import gaussian_blur

    sigma = 0.02 * min(frame.shape[-2:]) if params.sigma is None else params.sigma
    return gaussian_blur(frame, sigma)


DETECTORS: Mapping[str, Detector] = {
    "canny": detect_canny,
    "luma": detect_luma,
    "tile": detect_tile,
    "blur": detect_blur,
}
