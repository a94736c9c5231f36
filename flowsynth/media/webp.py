"""Animated WebP, which FFmpeg doesn't decode: its frames and their times, by Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.media.errors import PictureTooLargeError, TruncatedMediaError, require_file
from flowsynth.media.pictures import DAMAGE, MAX_PIXELS

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from flowsynth.media.info import VideoInfo

#: WebP's ticks are milliseconds.
_BASE = Fraction(1, 1000)
#: What browsers make of a frame without a duration.
_SHORTEST, _DEFAULT = 11, 100


def is_animated_webp(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a WebP with an animation (RFC 9649, 2.7: the flag of its VP8X chunk)."""
    if not os.path.isfile(path):  # noqa: PTH113  a pipe blocks; Path raises of names that cannot be
        return False
    try:
        with open(path, "rb") as opened:  # noqa: PTH123
            head = opened.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def probe_webp(path: str | os.PathLike[str]) -> VideoInfo:
    """What an animation holds; every frame is decoded once, since only that tells its time.

    Raises:
        MediaError: As :func:`flowsynth.media.probe.probe`.
    """
    from flowsynth.media.info import VideoInfo
    from flowsynth.media.orientation import UPRIGHT
    from flowsynth.media.rate import measure_rate
    from flowsynth.media.rational import USUAL_RATES

    ticks, now = [], 0
    with _opened(path) as picture:
        width, height = picture.size
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            ticks.append(now)
            shown = int(picture.info.get("duration", 0))
            last = shown if shown >= _SHORTEST else _DEFAULT
            now += last
    average = len(ticks) / (now * _BASE)
    near = sorted(USUAL_RATES, key=lambda rate: abs(rate - average))
    rate = measure_rate(ticks, last, _BASE, near)
    return VideoInfo(
        path=str(path),
        stream=0,
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        orientation=UPRIGHT,
        rotation=0,
        fps=rate.fps,
        variable_frame_rate=rate.variable,
        on_grid=rate.grid,
        time_base=_BASE,
        timestamps=tuple(ticks),
        end_timestamp=now,
        key_frames=(0,),
        has_audio=False,
        codec="webp",
        container="webp",
        pixel_format="rgba",
        bit_depth=8,
        seekable=True,
    )


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    from PIL import Image

    file = require_file(path, "a video file")
    try:
        with Image.open(file, formats=["WEBP"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                found = f"{picture.width}x{picture.height}"
                raise PictureTooLargeError(path, f"pictures of at most {MAX_PIXELS:,} pixels", found)
            yield picture
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(path, f"pictures of at most {MAX_PIXELS:,} pixels", "more") from error
    except DAMAGE as error:
        raise TruncatedMediaError(path, "a whole animation", f"damaged or missing data ({error})") from error


class WebpCursor:
    """Any frame of an animation by its index."""

    def __init__(self, path: str) -> None:
        self._opener = _opened(path)
        self._picture = self._opener.__enter__()
        self._path = path

    def frame(self, index: int) -> VideoFrame:
        """Returns frame ``index``, with its transparency.

        Raises:
            TruncatedMediaError: It is damaged.
        """
        import numpy as np
        from av import VideoFrame

        try:
            self._picture.seek(index)
            pixels = np.asarray(self._picture.convert("RGBA"))
        except DAMAGE as error:
            raise TruncatedMediaError(
                self._path, f"frame {index}", f"damaged or missing data ({error})", index
            ) from error
        return VideoFrame.from_ndarray(pixels, format="rgba")

    def close(self) -> None:
        """Closes the file."""
        self._opener.__exit__(None, None, None)
