"""FFmpeg's filters over samples, and resampling in parts that fit together bit by bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flowsynth.media.filters import chained

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Array = npt.NDArray[Any]

#: FFmpeg's names of the usual layouts by number of channels.
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
#: Samples handed to a filter or an encoder at a time.
RUN = 65_536
#: Taps of the resampler at the lower of both rates, and where its pass band ends.
_TAPS, _CUTOFF = 64, 0.97


class Filtered(NamedTuple):
    """What a chain of filters gave at once: (channels, samples) float32, and what it says of them."""

    samples: Array
    facts: dict[str, str]


def filtered(
    runs: Iterable[Array], rate: int, filters: Sequence[tuple[str, str]], begin: int = 0
) -> Iterator[Filtered]:
    """Runs samples through FFmpeg's filters.

    Args:
        runs: (channels, samples) float32, one after another.
        rate: Hz.
        filters: Names and options, in order.
        begin: Place of the first sample, for filters that ask for the time.
    """
    graph: Any = None
    for run in runs:
        graph = graph or _graph(run.shape[0], rate, filters)
        for first in range(0, run.shape[1], RUN):
            part = run[:, first : first + RUN]
            graph.push(as_frame(part, rate, begin))
            begin += part.shape[1]
            yield from _drained(graph)
    if graph is not None:
        graph.push(None)
        yield from _drained(graph)


def _graph(channels: int, rate: int, filters: Sequence[tuple[str, str]]) -> Any:
    from av.filter import Graph

    graph: Any = Graph()
    graph.threads = 1
    source = graph.add_abuffer(
        sample_rate=rate, format="fltp", layout=LAYOUTS[channels], time_base=Fraction(1, rate)
    )
    return chained(graph, source, (*filters, ("aformat", "sample_fmts=fltp")), "abuffersink")


def _drained(graph: Any) -> Iterator[Filtered]:
    import av

    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield Filtered(frame.to_ndarray(), dict(frame.metadata))


def as_frame(samples: Array, rate: int, begin: int) -> AudioFrame:
    """Samples as a frame that starts ``begin`` samples after second 0."""
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(samples, np.float32), format="fltp", layout=LAYOUTS[samples.shape[0]]
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
    return frame


class Resampling(NamedTuple):
    """A change of rate and channels."""

    rate: int
    to_rate: int
    channels: int
    to_channels: int

    @property
    def none(self) -> bool:
        """Whether nothing changes."""
        return (self.rate, self.channels) == (self.to_rate, self.to_channels)

    def length(self, samples: int) -> int:
        """Samples of the result: as long in time, to the nearest one."""
        return round(samples * Fraction(self.to_rate, self.rate))


class Part(NamedTuple):
    """Which samples a part of a resampled sound needs.

    Attributes:
        first: First sample needed.
        last: One past the last.
        skip: Samples of what comes out of these that lie before the part.
        size: Samples of the part.
    """

    first: int
    last: int
    skip: int
    size: int


def resample_part(change: Resampling, start: int, stop: int, samples: int) -> Part:
    """What samples ``start`` to ``stop`` of the result need.

    FFmpeg's resampler chooses a filter by where an output sample lies between two input samples, and mirrors
    the sound at its ends. So a part begins where both rates have a sample, and far enough outside.

    Args:
        change: The change.
        start: First sample of the part.
        stop: One past the last.
        samples: Samples of the whole source.
    """
    if change.rate == change.to_rate:
        return Part(start, min(stop, samples), 0, stop - start)
    common = math.gcd(change.rate, change.to_rate)
    own, other = change.rate // common, change.to_rate // common
    margin = math.ceil(_TAPS * max(1.0, own / other / _CUTOFF)) + _TAPS
    periods = max(start * own // other - margin, 0) // own
    last = min(samples, -(-stop * own // other) + margin)
    return Part(periods * own, last, start - periods * other, stop - start)


def resampled(runs: Iterable[Array], change: Resampling, part: Part) -> Iterator[Array]:
    """Samples ``part.first`` to ``part.last`` of a sound, resampled: just the part, filled up with silence.

    Args:
        runs: (channels, samples), one after another.
        change: The change.
        part: What is wanted, see :func:`resample_part`.
    """
    skip, left = part.skip, part.size
    for run in _converted(runs, change):
        kept = run[:, skip : skip + left]
        skip -= min(skip, run.shape[1])
        left -= kept.shape[1]
        if kept.shape[1]:
            yield kept
    if left:
        yield np.zeros((change.to_channels, left), np.float32)


def _converted(runs: Iterable[Array], change: Resampling) -> Iterator[Array]:
    if change.none:
        yield from runs
        return
    if change.channels == 1 and change.to_channels == 2:
        runs = (np.repeat(run, 2, axis=0) for run in runs)  # FFmpeg would take 3 dB off
    options = f"sample_rate={change.to_rate}:out_chlayout={LAYOUTS[change.to_channels]}"
    options += f":filter_size={_TAPS}:cutoff={_CUTOFF}"
    options += ":rematrix_maxval=1.0"  # as FFmpeg has it for whole numbers: no sum passes full scale
    for found in filtered(runs, change.rate, [("aresample", options)]):
        yield found.samples
