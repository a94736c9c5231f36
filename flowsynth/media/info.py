"""The facts of a video stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from flowsynth.media.hdr import PEAK
from flowsynth.media.orientation import Orientation, rotation_of
from flowsynth.media.rate import Rate
from flowsynth.media.walk import Damage, Start


@dataclass(frozen=True)
class VideoInfo:
    """The exact facts of one video stream of a file.

    Attributes:
        path: The file; no part of equality.
        stream: Index of the stream in the file.
        width: Pixels across as shown: square pixels, after rotation.
        height: Pixels down as shown.
        coded_width: Pixels across as stored.
        coded_height: Pixels down as stored.
        orientation: Turn or mirror to apply to a stored frame.
        rate: Frames per second, and how regular they are.
        time_base: Seconds of one tick.
        timestamps: When each frame is shown, in ticks, increasing.
        end_timestamp: When the last frame stops being shown, in ticks.
        key_frames: Frames (by index) at which decoding can start, increasing.
        has_audio: Whether there is an audio stream.
        codec: Codec's name, such as ``h264``.
        container: Container formats' names, as the demuxer gives them.
        pixel_format: Stored pixel format, such as ``yuv420p``.
        bit_depth: Bits of a stored colour component.
        seekable: Whether every packet had a timestamp of its own, so that frames can be sought.
        start: Where frames begin to count.
        damage: What was asked of frames that don't decode.
        colour: What its colours are where not BT.709's, see :func:`flowsynth.media.hdr.colour_of`.
        peak: Brightest light in cd/m², of PQ and HLG.
        notes: What a user should know of how the file was read.
    """

    path: str = field(compare=False)
    stream: int
    width: int
    height: int
    coded_width: int
    coded_height: int
    orientation: Orientation
    rate: Rate
    time_base: Fraction
    timestamps: tuple[int, ...] = field(repr=False)
    end_timestamp: int
    key_frames: tuple[int, ...] = field(repr=False)
    has_audio: bool
    codec: str
    container: str
    pixel_format: str
    bit_depth: int
    seekable: bool
    start: Start = "any"
    damage: Damage = "fail"
    colour: str = ""
    peak: float = PEAK
    notes: tuple[str, ...] = ()

    @property
    def rotation(self) -> int:
        """The turn alone, degrees counter-clockwise: 0, 90, 180 or 270."""
        return rotation_of(self.orientation)

    @property
    def fps(self) -> Fraction:
        """Frames per second; where the rate varies, of the grid on which all lie, or the average."""
        return self.rate.fps

    @property
    def frame_count(self) -> int:
        """Number of frames, exactly."""
        return len(self.timestamps)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's start to the last one's end; whole places of a rate's grid."""
        measured = (self.end_timestamp - self.timestamps[0]) * self.time_base
        places = round(measured * self.fps) if self.rate.variable else self.frame_count
        even = places / self.fps
        return even if self.rate.grid and abs(measured - even) <= 2 * self.time_base else measured

    def time(self, index: int) -> Fraction:
        """Seconds from the first frame to frame ``index``; exact multiples of 1/fps at a constant rate."""
        if not self.rate.variable:
            return index / self.fps
        return (self.timestamps[index] - self.timestamps[0]) * self.time_base
