"""A clip as a strip of a few small pictures side by side. Imports no torch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

#: Pictures of a strip, and pixels of their longer side.
TILES, SIDE = 8, 256
_QUALITY = 80


class Strip(NamedTuple):
    """What a strip shows.

    Attributes:
        tiles: pictures in it.
        total: frames of the clip.
        height: of its frames, in pixels.
        width: of its frames, in pixels.
        tile_width: of one picture, in pixels.
        tile_height: of one picture, in pixels.
    """

    tiles: int
    total: int
    height: int
    width: int
    tile_width: int
    tile_height: int


def picked(total: int) -> list[int]:
    """Which frames of a clip a strip shows: the middles of as many equal parts."""
    count = min(total, TILES)
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


def stride_for(height: int, width: int) -> int:
    """Every how manieth pixel of a frame is enough to make a small picture of, filtered."""
    return max(max(height, width) // (2 * SIDE), 1)


def thumbnail(frame: NDArray[Any]) -> Image:
    """A small picture of a frame.

    Args:
        frame: C, H, W; uint8, or floats in [0, 1]; alpha is shown over grey.
    """
    import numpy as np
    from PIL import Image

    pixels = frame if frame.dtype == np.uint8 else (frame.astype(np.float32) * 255 + 0.5).astype(np.uint8)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[0]]
    shown = np.ascontiguousarray(pixels[0] if mode == "L" else pixels.transpose(1, 2, 0))
    image = Image.fromarray(shown, mode if mode == "RGBA" else None)
    if mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (128, 128, 128, 255)), image).convert(
            "RGB"
        )
    scale = min(SIDE / max(image.size), 1.0)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    return image if size == image.size else image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def encode_strip(pictures: Sequence[Image], total: int, height: int, width: int) -> bytes:
    """A strip as JPEG, with what it shows in its comment.

    Args:
        pictures: of equal sizes, in order.
        total: frames of the clip.
        height: of its frames, in pixels.
        width: of its frames, in pixels.
    """
    from PIL import Image

    first = pictures[0]
    strip = Image.new(first.mode, (first.width * len(pictures), first.height))
    for i, picture in enumerate(pictures):
        strip.paste(picture, (i * first.width, 0))
    target = io.BytesIO()
    told = f"{len(pictures)} {total} {height} {width}".encode()
    strip.save(target, "JPEG", quality=_QUALITY, comment=told)
    return target.getvalue()


def read_strip(data: bytes) -> Strip | None:
    """What a strip shows; None for another picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            told = image.info.get("comment", b"")
            tiles, total, height, width = (int(text) for text in told.split())
            size = image.size
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if not 1 <= tiles <= TILES or size[0] % tiles or total < tiles or min(height, width) < 1:
        return None
    return Strip(tiles, total, height, width, size[0] // tiles, size[1])
