"""Join clips end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.values import Frames


class Concat(Operator):
    """Show clips one after another, in the order of the edges.

    Clips must agree in frame rate, size, channels, dtype and kind; ``resize`` and ``interpolate`` bring them
    there. The same clip may come several times. Frames are handed on as they are, and a clip is not read
    before its turn.

    Inputs:
        frames: one or more of T, C, H, W, each of any length.

    Output:
        Frames of all lengths together.

    Errors:
        RequestError: clips that differ.
    """

    op: ClassVar[str] = "concat"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    def stream(self) -> StreamKind:
        """An index map over the clips."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """All lengths together, at the common rate.

        Raises:
            RequestError: clips of different rates.
        """
        infos = list(inputs.values())
        if len({info.fps for info in infos}) > 1:
            rates = [f"{info.fps} fps" if info.fps else "pictures without a rate" for info in infos]
            raise _different(rates)
        return StreamInfo(sum(info.length for info in infos), infos[0].fps)

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The parts of the clips that lie there.

        Where a part begins with the first frame of a clip, the last frame of the clip before comes along
        for comparison: so every seam is checked, and no clip is opened before its turn.
        """
        reads: dict[str, tuple[int, int]] = {}
        compared, offset, before = False, 0, ""
        for name, info in inputs.items():
            first, last = max(start - offset, 0), min(stop - offset, info.length)
            if first < last:
                if first == 0 and before and not reads:
                    length = inputs[before].length
                    reads[before], compared = (length - 1, length), True
                reads[name] = (first, last)
            offset += info.length
            before = name if info.length else before
        return Reads(reads, compared)

    def run(self, ctx: RunContext, /, *, frames: list[Frames]) -> Frames:
        """Join the parts asked for."""
        ctx.check_cancelled()
        _check(frames)
        compared = ctx.span is not None and ctx.span.geometry is True
        return Frames.concat(frames[1:] if compared else frames)


def _check(clips: Sequence[Frames]) -> None:
    """Refuse clips that differ in anything but their length."""
    looks = [_look(clip) for clip in clips]
    if len(set(looks)) > 1:
        raise _different(looks)


def _look(clip: Frames) -> str:
    """Say what clips must agree in."""
    dtype = str(clip.parts[0].dtype).removeprefix("torch.")
    rate = f"{clip.fps} fps" if clip.fps else "no rate"
    return f"{clip.width}x{clip.height}, {clip.frame_shape[0]} channels, {dtype}, {clip.kind}, {rate}"


def _different(looks: Sequence[str]) -> RequestError:
    given = " then ".join(dict.fromkeys(looks))
    return RequestError(
        f"concat: frames: expected clips of one rate, size, dtype and kind, given {given}; "
        "resize and interpolate bring them together"
    )
