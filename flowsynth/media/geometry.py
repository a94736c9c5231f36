"""Turning, cropping and resizing of pictures as arrays (H, W, C)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.rational import Resample

Array = npt.NDArray[Any]
Box = tuple[float, float, float, float]


def orient(image: Array, orientation: tuple[int, int, int, int]) -> Array:
    """Turns or mirrors a stored picture to how it is shown.

    Args:
        image: Picture, any type and number of channels.
        orientation: (a, b, c, d): pixel (x, y) goes to (a x + c y, b x + d y), up to a shift.

    Returns:
        The picture, (H, W, C) or (W, H, C), contiguous.
    """
    a, b, c, d = orientation
    return np.ascontiguousarray(image[::d, ::a] if a else image.transpose(1, 0, 2)[::b, ::c])


def target_size(
    source: tuple[int, int], width: int | None, height: int | None, short_side: int | None = None
) -> tuple[int, int]:
    """Returns the output's (width, height) for a source of (width, height).

    With neither given it is the source's own, or has the short side asked for; with one, the other keeps
    the aspect, to the nearest even number (at least 2); with both, exactly these.
    """
    source_width, source_height = source
    if width is None and height is None:
        if short_side is None:
            return source
        width, height = (short_side, None) if source_width < source_height else (None, short_side)
    if width is None:
        assert height is not None
        width = _even(Fraction(source_width * height, source_height))
    elif height is None:
        height = _even(Fraction(source_height * width, source_width))
    return width, height


def _even(value: Fraction) -> int:
    return max(2, 2 * round(value / 2))


def centre_crop(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """Returns the largest centred (left, top, right, bottom) of the target's aspect, in source pixels."""
    source_width, source_height = source
    width, height = target
    if source_width * height > width * source_height:
        crop = source_height * width / height
        return (source_width - crop) / 2, 0.0, (source_width + crop) / 2, float(source_height)
    crop = source_width * height / width
    return 0.0, (source_height - crop) / 2, float(source_width), (source_height + crop) / 2


def fit(
    image: Array,
    target: tuple[int, int],
    resample: Resample = "lanczos",
    shown: tuple[int, int] | None = None,
) -> Array:
    """Crops the centre to the target's aspect, then resizes; the same bits on every machine.

    Args:
        image: uint8 or uint16, any number of channels.
        target: (width, height) of the output.
        resample: Filter, antialiased when it shrinks (Pillow's, in integer arithmetic for uint8).
        shown: (width, height) of the picture in square pixels, where its own pixels are not square.

    Returns:
        (height, width, C) of the same type; the input itself if it already has the size.
    """
    height, width = image.shape[:2]
    shown = shown or (width, height)
    if (width, height) == target == shown:
        return image
    left, top, right, bottom = centre_crop(shown, target)
    across, down = width / shown[0], height / shown[1]
    return _resize(image, target, (left * across, top * down, right * across, bottom * down), resample)


def _resize(image: Array, target: tuple[int, int], box: Box, resample: Resample) -> Array:
    from PIL import Image

    name = "box" if resample == "area" else resample
    method = Image.Resampling[name.upper()]
    if image.dtype == np.uint8 and image.shape[2] in (3, 4):
        return np.asarray(Image.fromarray(image).resize(target, method, box=box))
    # Pillow has no deep colour pictures: one float plane at a time, rounded back.
    planes = [
        np.asarray(Image.fromarray(image[:, :, c].astype(np.float32)).resize(target, method, box=box))
        for c in range(image.shape[2])
    ]
    limit = np.iinfo(image.dtype).max
    resized: Array = np.clip(np.rint(np.stack(planes, axis=2)), 0, limit).astype(image.dtype)
    return resized
