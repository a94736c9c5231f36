"""Reading the sound of a file, in parts, on the clock of its picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.choose import Wanted, choose_audio
from flowsynth.media.errors import DecodeError, MediaRangeError, raise_if_limit
from flowsynth.media.sound_filters import LAYOUTS, RUN, Resampling, resample_part, resampled
from flowsynth.media.source import open_input, read_packets

if TYPE_CHECKING:
    from av.container import InputContainer

Array = npt.NDArray[Any]

#: Seconds by which a packet's time may be off before it counts as a gap: containers round to milliseconds.
_GAP = Fraction(1, 20)
#: Seconds of silence that a gap may be: a longer one is a damaged time.
_LONGEST_GAP = 86_400


@dataclass(frozen=True)
class SoundRange:
    """A range of a file's sound, on the clock of its picture.

    Second 0 is the first video frame's start, or without a video the first sample's: a track that begins
    later begins with silence, and one that begins earlier loses what no picture belongs to. Gaps are silent.

    Attributes:
        path: A file with sound.
        start: Seconds at which to begin.
        end: Seconds at which to stop; the track's end where not given, or where that comes first.
        stream: Which of several sound streams.
    """

    path: str | os.PathLike[str]
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    stream: Wanted = None


@dataclass(frozen=True)
class SoundInfo:
    """What a range of sound holds: Hz, channels, samples of each."""

    rate: int
    channels: int
    samples: int


def probe_sound(wanted: SoundRange) -> SoundInfo:
    """Decodes a range of sound and counts: what a header says may be off by what an encoder put before it.

    Raises:
        MediaError: No sound, damaged data, nothing within the range.
    """
    rate = channels = samples = 0
    for own, run in _runs(wanted):
        rate, channels, samples = own, run.shape[0], samples + run.shape[1]
    if not samples:
        raise MediaRangeError(wanted.path, f"sound after {float(wanted.start):g} s", "none")
    return SoundInfo(rate, channels, samples)


class SoundReader:
    """Reads parts of a range of sound: the same bits whichever parts are asked for.

    What a decoder gives after a seek differs, so it runs on from part to part, and from the start again for
    what lies before.

    Args:
        wanted: The range.
        info: What :func:`probe_sound` found of it.
        rate: Hz of the result.
        channels: Channels of the result.
    """

    def __init__(self, wanted: SoundRange, info: SoundInfo, rate: int, channels: int) -> None:
        """Opens nothing before the first ``read``.

        Args:
            wanted: The range.
            info: What :func:`probe_sound` found of it.
            rate: Hz of the result.
            channels: Channels of the result.
        """
        self._wanted, self._info = wanted, info
        self._change = Resampling(info.rate, rate, info.channels, channels)
        self._runs: Iterator[tuple[int, Array]] | None = None
        self._held: list[Array] = []
        self._from = self._upto = 0
        self.rate, self.channels = rate, channels
        self.samples = self._change.length(info.samples)

    def read(self, first: int, last: int) -> Array:
        """Samples ``first`` to ``last`` (exclusive) of the result, (channels, samples) float32.

        Raises:
            MediaError: The file gives less than it did when it was probed.
        """
        part = resample_part(self._change, first, last, self._info.samples)
        source = self._source(part.first, part.last)
        return np.concatenate([*resampled([source], self._change, part)], axis=1)

    def close(self) -> None:
        """Closes the file; a later ``read`` opens it again."""
        if self._runs is not None:
            self._runs.close()  # type: ignore[attr-defined]  # a generator
        self._runs, self._held, self._from, self._upto = None, [], 0, 0

    def _source(self, first: int, last: int) -> Array:
        """Samples as they are stored; those of the last part are kept, since the next may need its end."""
        if self._runs is None or first < self._from:
            self.close()
            self._runs = _runs(self._wanted)
        while self._upto < last:
            _, run = next(self._runs, (0, None))
            if run is None:
                found = f"{self._upto} samples, now"
                raise DecodeError(self._wanted.path, f"{self._info.samples} samples, as before", found)
            self._held.append(run)
            self._upto += run.shape[1]
            while self._held and self._from + self._held[0].shape[1] <= first:
                self._from += self._held.pop(0).shape[1]
        held = np.concatenate(self._held, axis=1)
        return held[:, first - self._from : last - self._from]


def begin_of(container: InputContainer, sound: Any) -> Fraction:
    """Second 0 of a file, on its own clock: the first picture, or without one the first sound."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    pictures = [stream for stream in container.streams.video if not stream.disposition & covers]
    stream = pictures[0] if pictures else sound
    return (stream.start_time or 0) * Fraction(stream.time_base or 0)


def _runs(wanted: SoundRange) -> Iterator[tuple[int, Array]]:
    """The rate, and samples from the range's start on, one after another."""
    with open_input(wanted.path) as container:
        sound = choose_audio(container, wanted.path, wanted.stream)
        rate = int(sound.rate)
        zero = begin_of(container, sound)
        place = round(wanted.start * rate)
        stop = None if wanted.end is None else round(wanted.end * rate)
        for at, samples in _blocks(container, sound, wanted.path, zero, rate):
            if at - place > _LONGEST_GAP * rate:
                found = f"a gap of {(at - place) / rate:.0f} s"
                raise DecodeError(wanted.path, f"gaps in the sound of at most {_LONGEST_GAP} s", found)
            while place < (at if stop is None else min(at, stop)):
                count = min(at - place, RUN)
                yield from _kept(rate, np.zeros((samples.shape[0], count), np.float32), place, stop)
                place += count
            late = samples[:, max(place - at, 0) :]
            yield from _kept(rate, late, place, stop)
            place += late.shape[1]
            if stop is not None and place >= stop:
                return


def _kept(rate: int, samples: Array, place: int, stop: int | None) -> Iterator[tuple[int, Array]]:
    kept = samples if stop is None else samples[:, : max(stop - place, 0)]
    if kept.shape[1]:
        yield rate, kept


def _blocks(
    container: InputContainer, stream: Any, path: str | os.PathLike[str], zero: Fraction, rate: int
) -> Iterator[tuple[int, Array]]:
    """Decoded samples with the place of the first, counted from second 0."""
    import av
    from av.audio.resampler import AudioResampler

    channels = int(stream.codec_context.layout.nb_channels)
    if channels not in LAYOUTS:
        raise DecodeError(path, f"sound of 1 to {max(LAYOUTS)} channels", str(channels))
    same = AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=rate)
    following: int | None = None
    for packet in read_packets(container, stream, path):
        try:
            frames: list[Any] = packet.decode()
        except av.FFmpegError as error:
            raise_if_limit(path, error)
            raise DecodeError(path, "sound that decodes", f"damaged data ({error.strerror})") from error
        for frame in frames:
            if frame.sample_rate != rate or frame.layout.nb_channels != channels:
                found = f"{frame.sample_rate} Hz, {frame.layout.name} later on"
                raise DecodeError(path, f"one rate and layout, {rate} Hz", found)
            pts, base = frame.pts, Fraction(frame.time_base or 0)
            at = following if pts is None else round((pts * base - zero) * rate)
            for whole in same.resample(frame):
                samples = whole.to_ndarray()
                if following is not None and at is not None and abs(at - following) <= _GAP * rate:
                    at = following
                place = at or 0
                yield place, samples
                following = at = place + samples.shape[1]
