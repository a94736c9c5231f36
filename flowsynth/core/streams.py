"""How an operator's output depends on its inputs along time.

A stream is cut into chunks of contiguous frames. From the kind that an operator declares follow the tasks,
what each reads, and its geometry: everything about a task that its key must hold besides the frames read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from flowsynth.core.canonical import Json

#: Frames in a chunk unless a run says otherwise.
DEFAULT_CHUNK = 16


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream before any of it is made.

    Attributes:
        length: frames in all.
        fps: frames a second, if the values carry it.
        samples: samples in all where a frame is a block of them, the last one shorter (sound); else 0.
    """

    length: int
    fps: Fraction | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """The part of its output that one task makes.

    Attributes:
        start: first output frame (absolute; only a ``positional`` operator may let it matter).
        stop: one past the last output frame.
        total: frames of the whole output.
        reads: port -> (first, one past last) frame that was handed over; see `edge_name` for fan-in ports.
        lead: frames handed over before the first output frame's own (window operators).
        tail: frames handed over after the last output frame's own (window operators).
        geometry: what a resampling operator said about this part, relative to what it reads;
            None where there are no frames at all.
    """

    start: int
    stop: int
    total: int
    reads: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lead: int = 0
    tail: int = 0
    geometry: Json = None

    @property
    def count(self) -> int:
        """Output frames to make."""
        return self.stop - self.start

    def identity(self, positional: bool) -> Json:
        """The part of a task's key that says what it makes out of what it reads."""
        relative: list[Json] = [self.count, self.lead, self.tail, self.geometry]
        return [*relative, self.start, self.total] if positional else relative

    def to_json(self) -> Json:
        """All of it as JSON."""
        reads: dict[str, Json] = {port: list(ends) for port, ends in self.reads.items()}
        return [self.start, self.stop, self.total, reads, self.lead, self.tail, self.geometry]

    @classmethod
    def from_json(cls, data: Any) -> Span:
        """The span back from what `to_json` made."""
        start, stop, total, reads, lead, tail, geometry = data
        ends = {port: (first, last) for port, (first, last) in reads.items()}
        return cls(start, stop, total, ends, lead, tail, geometry)


@dataclass(frozen=True, slots=True)
class Whole:
    """Needs all of every input, gives all of every output. What an operator is unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Source:
    """Makes a stream out of something outside the graph; `probe` says how long it is."""


@dataclass(frozen=True, slots=True)
class Map:
    """Output frame i depends on frame i of every temporal input."""


@dataclass(frozen=True, slots=True)
class Window:
    """Output frame i depends on input frames ``i - before`` to ``i + after``, clipped to the clip."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Resample:
    """The operator's own index map: `Operator.output_info` and `Operator.reads` say what depends on what.

    The clips on a fan-in port may differ in length: each edge has its own information and its own reads,
    under its `edge_name`. A clip whose edge `Operator.reads` leaves out is neither waited for nor given.
    """


@dataclass(frozen=True, slots=True)
class Scan:
    """A map with a state handed from chunk to chunk (`RunContext.state`)."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Takes a stream in order and gives one value: `segment` on runs of frames, then `combine`.

    Attributes:
        segment: frames of a segment, whatever the length of chunks: the result may depend on it.
    """

    segment: int = 128


StreamKind = Whole | Source | Map | Window | Resample | Scan | Fold


@dataclass(frozen=True, slots=True)
class Reads:
    """What a resampling operator reads for some of its output.

    Attributes:
        ports: port, or `edge_name` of an edge of a fan-in port -> (first, one past last) input frame.
        geometry: JSON that, with the frames read, determines the output (indices relative to what is read).
    """

    ports: Mapping[str, tuple[int, int]]
    geometry: Json = None


def edge_name(port: str, index: int) -> str:
    """What a resampling operator calls one edge of a fan-in port, such as ``frames[1]``."""
    return f"{port}[{index}]"


def window_span(kind: Window, start: int, stop: int, total: int, ports: tuple[str, ...]) -> Span:
    """The span of a window task: its halo is cut at the ends of the clip."""
    first, last = max(0, start - kind.before), min(total, stop + kind.after)
    reads = dict.fromkeys(ports, (first, last))
    return Span(start, stop, total, reads, lead=start - first, tail=last - stop)


def chunk_spans(length: int, chunk: int) -> list[tuple[int, int]]:
    """Boundaries of the chunks of a stream: at multiples of the chunk length, the last one shorter."""
    return [(start, min(start + chunk, length)) for start in range(0, length, chunk)]
