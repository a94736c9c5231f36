"""Animations and pictures that FFmpeg gives in part, by Pillow: WebP's frames, AVIF's alpha and tiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.media.errors import NotMediaError, PictureTooLargeError, TruncatedMediaError, require_file
from flowsynth.media.pictures import DAMAGE, HEIC, MAX_PIXELS, heif_kind, in_srgb

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from flowsynth.media.info import VideoInfo

#: Pillow's ticks are milliseconds.
_BASE = Fraction(1, 1000)
#: What browsers make of a frame without a duration.
_SHORTEST, _DEFAULT = 11, 100
#: How long a picture is shown that is no animation: FFmpeg's 25 a second.
_STILL = 40


def by_pillow(path: str | os.PathLike[str]) -> str:
    """Pillow's name of a file's format where FFmpeg would lose part of it, else an empty text.

    That is so for a WebP with an animation (RFC 9649, 2.7: the flag of its VP8X chunk), and for AVIF.

    Raises:
        NotMediaError: An HEIC picture, of which FFmpeg would give one tile.
    """
    if not os.path.isfile(path):  # noqa: PTH113  a pipe blocks; Path raises of names that cannot be
        return ""
    try:
        with open(path, "rb") as opened:  # noqa: PTH123
            head = opened.read(64)
    except OSError:
        return ""
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 2:
        return "WEBP"
    kind = heif_kind(head)
    if kind == "heic":
        raise NotMediaError(path, "a video file", HEIC)
    return "AVIF" if kind == "avif" and _reads_avif() else ""


def _reads_avif() -> bool:
    from PIL import features

    return bool(features.check("avif"))


def probe_pictures(path: str | os.PathLike[str], kind: str) -> VideoInfo:
    """What an animation holds; every frame is decoded once, since only that tells its time.

    Args:
        path: The file.
        kind: What :func:`by_pillow` said.

    Raises:
        MediaError: As :func:`flowsynth.media.probe.probe`.
    """
    from flowsynth.media.info import VideoInfo
    from flowsynth.media.orientation import exif_orientation
    from flowsynth.media.rate import measure_rate
    from flowsynth.media.rational import USUAL_RATES

    ticks, now = [], 0
    with _opened(path, kind) as picture:
        width, height = picture.size
        orientation = exif_orientation(picture.getexif().get(0x0112, 1))
        count = getattr(picture, "n_frames", 1)
        for index in range(count):
            picture.seek(index)
            picture.load()
            ticks.append(now)
            shown = int(picture.info.get("duration", 0))
            last = shown if shown >= _SHORTEST else _STILL if count == 1 else _DEFAULT
            now += last
    average = len(ticks) / (now * _BASE)
    near = sorted(USUAL_RATES, key=lambda rate: abs(rate - average))
    # Equal frames are stored as one, so that the end says as much of the rate as any frame.
    rate = measure_rate([*ticks, now], last, _BASE, near)
    if count == 1 or not rate.grid:
        rate = measure_rate(ticks, last, _BASE, near)
    return VideoInfo(
        path=str(path),
        stream=0,
        width=width if orientation[0] else height,
        height=height if orientation[0] else width,
        coded_width=width,
        coded_height=height,
        orientation=orientation,
        rate=rate,
        time_base=_BASE,
        timestamps=tuple(ticks),
        end_timestamp=now,
        key_frames=(0,),
        has_audio=False,
        codec=kind.lower(),
        container=kind.lower(),
        pixel_format="rgba",
        bit_depth=8,
        seekable=True,
    )


@contextmanager
def _opened(path: str | os.PathLike[str], kind: str) -> Iterator[Any]:
    from PIL import Image

    file = require_file(path, "a video file")
    try:
        with Image.open(file, formats=[kind]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                found = f"{picture.width}x{picture.height}"
                raise PictureTooLargeError(path, f"pictures of at most {MAX_PIXELS:,} pixels", found)
            yield picture
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(path, f"pictures of at most {MAX_PIXELS:,} pixels", "more") from error
    except DAMAGE as error:
        raise TruncatedMediaError(path, "a whole animation", f"damaged or missing data ({error})") from error


class PictureCursor:
    """Any frame of an animation by its index."""

    def __init__(self, path: str, kind: str) -> None:
        self._opener = _opened(path, kind)
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
            profile = self._picture.info.get("icc_profile")
            if profile:
                pixels = np.ascontiguousarray(in_srgb(self._picture, pixels, profile))
        except DAMAGE as error:
            raise TruncatedMediaError(
                self._path, f"frame {index}", f"damaged or missing data ({error})", index
            ) from error
        return VideoFrame.from_ndarray(pixels, format="rgba")

    def close(self) -> None:
        """Closes the file."""
        self._opener.__exit__(None, None, None)
