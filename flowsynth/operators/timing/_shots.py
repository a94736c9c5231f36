"""Pictures and clips as shots of a film, whether they lie in memory or in files."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowsynth.values import Frames
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.media.reader import VideoReader

#: How far a picture is zoomed into while it is shown.
ZOOM = 1.12


class Clip(Protocol):
    """What can be shown.

    Attributes:
        count: frames; one stands and is zoomed.
        rate: frames a second; 0 for a picture.
    """

    count: int
    rate: float

    def frame(self, index: int, device: str) -> Tensor:
        """A frame, (1, 3, H, W) in [0, 1]."""
        ...


class Part:
    """A clip, or one picture, out of frames."""

    def __init__(self, frames: Frames, first: int, count: int) -> None:
        self._frames, self._first = frames, first
        self.count, self.rate = count, float(frames.fps or 0)

    def frame(self, index: int, device: str) -> Tensor:
        """A frame of it."""
        from flowsynth.values.frames import as_float

        return as_rgb(as_float(self._frames.frame(self._first + index)[None].to(device)))


class PictureFile:
    """A picture in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count, self.rate = 1, 0.0

    def frame(self, index: int, device: str) -> Tensor:
        """The picture."""
        import torch

        from flowsynth.media.pictures import read_picture

        del index
        return torch.tensor(read_picture(self._path)).permute(2, 0, 1)[None].to(device).float() / 255


class VideoFile:
    """A clip in a file; only what is shown of it is decoded, in order where that goes."""

    def __init__(self, path: Path) -> None:
        from flowsynth.media.reader import VideoReader

        self._reader: VideoReader = VideoReader(path)
        self.count, self.rate = len(self._reader), float(self._reader.fps)

    def frame(self, index: int, device: str) -> Tensor:
        """A frame of it."""
        import torch

        decoded = torch.tensor(self._reader.read(index, index + 1))
        return decoded.permute(0, 3, 1, 2).to(device).float() / 255


@dataclass(frozen=True)
class Shot:
    """What is shown from a cue's start to the next one's.

    Attributes:
        start: seconds.
        seconds: how long.
        clip: that is shown.
        inwards: whether a picture is zoomed into, or out of.
    """

    start: float
    seconds: float
    clip: Clip
    inwards: bool

    @property
    def stands(self) -> bool:
        """Whether it is a picture."""
        return self.clip.count == 1 or not self.clip.rate

    def index(self, inner: float) -> int:
        """Which frame of a clip is seen so many seconds into the shot: forwards, backwards, forwards."""
        around = 2 * self.clip.count - 2
        place = int(inner * self.clip.rate + 1e-6) % around
        return min(place, around - place)


class Screen:
    """Shows shots at moments; the picture of the last one is kept.

    Args:
        shots: in order.
        size: (height, width) of what is shown.
        device: where it is made.
    """

    def __init__(self, shots: list[Shot], size: tuple[int, int], device: str) -> None:
        self._shots, self._size, self._device = shots, size, device
        self._kept: dict[int, Tensor] = {}

    def at(self, moment: float) -> Tensor:
        """What is seen at a moment, (1, 3, height, width) in [0, 1]."""
        from flowsynth.functional.picture.cover import cover, looked_at

        number = max(k for k, shot in enumerate(self._shots) if shot.start <= moment or k == 0)
        shot = self._shots[number]
        inner = moment - shot.start
        if not shot.stands:
            return cover(shot.clip.frame(shot.index(inner), self._device), self._size)
        if number not in self._kept:
            self._kept.clear()
            larger = ceil(self._size[0] * ZOOM), ceil(self._size[1] * ZOOM)
            self._kept[number] = cover(shot.clip.frame(0, self._device), larger)
        share = min(inner / shot.seconds, 1.0)
        return looked_at(self._kept[number], self._size, ZOOM ** (share if shot.inwards else 1 - share))


def parts_of(clips: list[Frames]) -> list[Clip]:
    """Clips, then pictures one by one."""
    moving: list[Clip] = [Part(c, 0, c.num_frames) for c in clips if c.fps is not None and c.num_frames]
    return moving + [Part(c, i, 1) for c in clips if c.fps is None for i in range(c.num_frames)]


def rate_of(fps: float) -> Fraction:
    """Frames a second as a fraction."""
    return Fraction(fps).limit_denominator(100_000)
