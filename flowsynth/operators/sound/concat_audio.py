"""Join sounds end to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Reads, Resample, StreamInfo, StreamKind
from flowsynth.operators.sound._sound import blocks, fan_in, parts_of, require_alike, require_rate
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, sound_info, sound_rate


class ConcatAudio(Operator):
    """Play sounds one after another, in the order of the edges.

    Where `crossfade` is set, each fades into the next.

    Inputs:
        audio: one or more, of one rate and number of channels.

    Output:
        Samples of all lengths together, less the crossfades. They are of equal power, so that loudness stays.

    Errors:
        RequestError: sounds that differ, or one shorter than its crossfades together.
    """

    op: ClassVar[str] = "concat_audio"
    version: ClassVar[int] = 1

    crossfade: float = Field(
        default=0.0, ge=0, le=60, description="seconds for which two neighbours sound together"
    )

    def stream(self) -> StreamKind:
        """An index map over the sounds."""
        return Resample()

    def output_info(self, inputs: Mapping[str, StreamInfo]) -> StreamInfo:
        """All lengths together, less the crossfades.

        Raises:
            RequestError: sounds that differ in rate, or one that is too short.
        """
        rate = require_rate(self.op, inputs)
        return sound_info(self._places(inputs)[-1], rate)

    def _shared(self, rate: int) -> int:
        return round(self.crossfade * rate)

    def _places(self, inputs: Mapping[str, StreamInfo]) -> list[int]:
        """Where each sound begins, and where the last one ends."""
        infos = list(inputs.values())
        shared = self._shared(sound_rate(infos[0]))
        places = [0]
        for i, info in enumerate(infos):
            fades = shared * ((i > 0) + (i + 1 < len(infos)))
            if info.samples < fades:
                least = f"{fades / sound_rate(info):g} s"
                given = f"{info.samples / sound_rate(info):g} s"
                raise RequestError(
                    f"concat_audio: crossfade: expected sounds of {least} or more, given {given}"
                )
            places.append(places[-1] + info.samples - (shared if i + 1 < len(infos) else 0))
        return places

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The blocks of the sounds to be heard, and of each where it lies and how far it is in a crossfade.

        At a sound's very beginning the block before comes along, so that both are compared at every seam.
        """
        places = self._places(inputs)
        begin, end = start * BLOCK, min(stop * BLOCK, places[-1])
        shared = self._shared(sound_rate(next(iter(inputs.values()))))
        ports: dict[str, tuple[int, int]] = {}
        geometry: list[Any] = []
        before: tuple[str, int] | None = None
        for place, (name, info) in zip(places, inputs.items(), strict=False):
            first, last = max(begin - place, 0), min(end - place, info.samples)
            if first < last:
                if not first and not ports and before is not None:
                    ports[before[0]] = (before[1] - 1, before[1])
                    geometry.append([0, 0, 0, None, None])
                held = blocks(first, last)
                ports[name] = held
                tail = info.samples - shared
                rise = first if place and first < shared else None
                fall = first - tail if place < places[-2] and last > tail and shared else None
                skip = first - held[0] * BLOCK
                geometry.append([skip, skip + last - first, place + first - begin, rise, fall])
            before = (name, info.length) if info.length else before
        return Reads(ports, [end - begin, *geometry])

    def run(self, ctx: RunContext, /, *, audio: list[Audio]) -> Audio:
        """Join."""
        import torch

        ctx.check_cancelled()
        (length, *layout), tracks = parts_of(self, ctx, fan_in(audio))
        require_alike(self.op, tracks)
        rate, channels = tracks[0].sample_rate, tracks[0].channels
        joined = torch.zeros(length, channels)
        for (first, last, place, rise, fall), track in zip(layout, tracks, strict=True):
            part = track.cut(first, last).tensor.cpu()
            if rise is not None or fall is not None:
                part = part * self._gain(part.shape[0], self._shared(rate), rise, fall)
            joined[place : place + part.shape[0]] += part
        return Audio(joined, rate)

    def _gain(self, count: int, shared: int, rise: int | None, fall: int | None) -> Any:
        """Gain of samples that begin so far in the crossfade from, and to, a neighbour; of equal power."""
        import numpy as np
        import torch

        gain = np.ones(count)
        for begin, down in ((rise, False), (fall, True)):
            if begin is not None:
                at = np.clip((np.arange(count) + begin + 0.5) / shared, 0, 1)
                gain *= np.cos(np.pi / 2 * at) if down else np.sin(np.pi / 2 * at)
        return torch.from_numpy(gain.astype(np.float32))[:, None]
