"""Runs of frames of a video file at a chosen rate and size."""

from __future__ import annotations

import os
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.animated import PictureCursor
from flowsynth.media.choose import Wanted
from flowsynth.media.color import to_rgb
from flowsynth.media.cursor import FrameCursor
from flowsynth.media.errors import MediaRangeError
from flowsynth.media.geometry import fit, orient, target_size
from flowsynth.media.hdr import tone_mapped
from flowsynth.media.info import VideoInfo
from flowsynth.media.probe import probe
from flowsynth.media.rational import Resample, ToneMap
from flowsynth.media.siting import Siting
from flowsynth.media.timeline import Timeline, make_timeline
from flowsynth.media.walk import Damage

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Array = npt.NDArray[Any]
#: Pixels of a side; more is a typing mistake rather than a picture.
_LARGEST_SIDE = 32_768


class VideoReader:
    """A seekable view of a video: a range of it, at a constant rate, at a size.

    The same frames have the same bits whether read in one go, in chunks, or in any order. Rotation
    metadata and non-square pixels are applied, grey becomes RGB, alpha is laid over ``background``.
    Interlaced fields stay woven, and colours keep their transfer function unless ``tone_map`` is asked for.

    Attributes:
        info: The probed file.
        timeline: Which source frame each output frame shows.
        width: Width of the output in pixels.
        height: Height of the output in pixels.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start: float | str | Fraction = 0,
        end: float | str | Fraction | None = None,
        max_frames: int | None = None,
        fps: float | str | Fraction | None = None,
        width: int | None = None,
        height: int | None = None,
        short_side: int | None = None,
        resample: Resample = "lanczos",
        background: tuple[int, int, int] = (255, 255, 255),
        deep: bool = False,
        stream: Wanted = None,
        damage: Damage = "fail",
        tone_map: ToneMap = "none",
        info: VideoInfo | None = None,
    ) -> None:
        """Opens a view; nothing is decoded before the first ``read``.

        Args:
            path: A video file.
            start: Where to begin: seconds, a source frame (``"36f"``) or a clock time (``"1:02.5"``).
            end: Where to stop, exclusive, in the same forms.
            max_frames: At most this many output frames.
            fps: Output rate; resampled by timestamps. The source's own where not given; where it varies,
                that of the grid on which its frames lie, else the usual rate near its average.
            width: Output width; alone, the height follows the aspect, in even numbers.
            height: Output height; with ``width``, the centre is cropped to the aspect first.
            short_side: The shorter side of the output, where neither is given.
            resample: Filter of the resize.
            background: RGB behind transparent pixels.
            deep: uint16 frames for sources of more than 8 bits.
            stream: Which of several video streams, see :func:`flowsynth.media.choose.choose_video`.
            damage: What to do about frames that don't decode.
            tone_map: Curve by which more than a usual screen's range (PQ, HLG) becomes BT.709.
            info: The result of :func:`probe` where it is known already, of the same stream and ``damage``.

        Raises:
            MediaError: As :func:`probe`, or an empty range, or a size out of range.
        """
        self.info = probe(path, stream=stream, damage=damage) if info is None else info
        self.timeline: Timeline = make_timeline(
            self.info, start=start, end=end, max_frames=max_frames, fps=fps
        )
        shown = (self.info.width, self.info.height)
        size = target_size(shown, width, height, short_side)
        self.width, self.height = _checked_size(self.info.path, size)
        self.dtype = np.dtype(np.uint16 if deep and self.info.bit_depth > 8 else np.uint8)
        self._path = str(path)
        self._tone_map: ToneMap = tone_map
        self._maps = tone_map != "none" and bool(self.info.colour)
        self._resample: Resample = resample
        self._background = background
        self._cursor: FrameCursor | PictureCursor | None = None
        self._last: tuple[int, Array] | None = None

    @property
    def colour(self) -> str:
        """What the output's colours are, see :func:`flowsynth.media.hdr.colour_of`."""
        return "" if self._maps else self.info.colour

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the file is read."""
        if not self.colour:
            return self.info.notes
        kept = f"its colours ({self.colour}) are kept as they are stored: tone_map brings them to BT.709"
        return (*self.info.notes, kept)

    @property
    def fps(self) -> Fraction:
        """Output frames per second."""
        return self.timeline.fps

    def __len__(self) -> int:
        return self.timeline.count

    def read(self, begin: int = 0, end: int | None = None) -> Array:
        """Decodes the output frames ``begin`` to ``end`` (exclusive).

        Returns:
            (T, H, W, 3), uint8, or uint16 for a deep source.

        Raises:
            MediaRangeError: The run isn't inside the view.
            TruncatedMediaError: The file ends before a frame that its index promised.
            DecodeError: A frame is damaged.
        """
        stop = len(self) if end is None else end
        if not 0 <= begin < stop <= len(self):
            raise MediaRangeError(self._path, f"frames within 0 to {len(self)}", f"{begin} to {stop}")
        frames = np.empty((stop - begin, self.height, self.width, 3), self.dtype)
        for k in range(begin, stop):
            frames[k - begin] = self._picture(self.timeline.source_index(k))
        return frames

    def close(self) -> None:
        """Closes the file; a later ``read`` opens it again."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _picture(self, index: int) -> Array:
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        if self._cursor is None:
            from av.video.reformatter import VideoReformatter

            kind = self.info.container.upper()
            pictures = kind in ("WEBP", "AVIF")
            self._cursor = PictureCursor(self._path, kind) if pictures else FrameCursor(self._path, self.info)
            self._reformatter, self._siting = VideoReformatter(), Siting(self.info.codec)
        rgb = self._colours(self._siting.place(self._cursor.frame(index)))
        upright = orient(rgb, self.info.orientation)
        picture = fit(upright, (self.width, self.height), self._resample, (self.info.width, self.info.height))
        self._last = index, picture
        return picture

    def _colours(self, frame: VideoFrame) -> Array:
        """A stored frame's RGB, brought to a usual screen's range if that was asked for."""
        deep = self.dtype == np.uint16
        if not self._maps:
            return to_rgb(frame, self._reformatter, deep=deep, background=self._background)
        rgb = to_rgb(frame, self._reformatter, deep=True, background=self._background)
        wide = rgb if rgb.dtype == np.uint16 else rgb.astype(np.uint16) * np.uint16(257)
        mapped = tone_mapped(wide, self.info.colour, self._tone_map, self.info.peak)
        return mapped if deep else ((mapped + np.uint32(128)) // 257).astype(np.uint8)


def _checked_size(path: str, size: tuple[int, int]) -> tuple[int, int]:
    for name, side in zip(("width", "height"), size, strict=True):
        if not 1 <= side <= _LARGEST_SIDE:
            raise MediaRangeError(path, f"{name} from 1 to {_LARGEST_SIDE} pixels", str(side))
    return size
