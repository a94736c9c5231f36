"""What operators on sound share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import StreamInfo, edge_name
from flowsynth.values import Audio
from flowsynth.values.audio import BLOCK, sound_info, sound_rate

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: Samples that an operator holds at a time beside its input and output.
RUN = 65_536


def to_runs(ctx: RunContext, audio: Audio) -> Iterator[Array]:
    """The samples in order, (channels, samples) float32, some at a time whatever parts they lie in."""
    for run in audio.runs(RUN):
        ctx.check_cancelled()
        yield run.cpu().numpy().T


def to_audio(runs: Iterable[Array], rate: int, channels: int) -> Audio:
    """Samples, (channels, samples) one after another, as a value of its own."""
    import numpy as np
    import torch

    whole = np.concatenate([np.zeros((channels, 0), np.float32), *runs], axis=1)
    return Audio(torch.from_numpy(np.array(whole.T, np.float32, order="C")), rate)


def blocks(first: int, last: int) -> tuple[int, int]:
    """The blocks that hold samples ``first`` to ``last`` (exclusive)."""
    return first // BLOCK, -(-last // BLOCK)


def require_rate(op: str, inputs: Mapping[str, StreamInfo]) -> int:
    """The rate of sounds that agree in it.

    Raises:
        RequestError: They don't.
    """
    rates = sorted({sound_rate(info) for info in inputs.values()})
    if len(rates) > 1:
        raise _different(op, [f"{rate} Hz" for rate in rates])
    return rates[0]


def require_alike(op: str, tracks: Sequence[Audio]) -> None:
    """Checks that sounds agree in rate and channels.

    Raises:
        RequestError: They don't.
    """
    kinds = sorted({(track.sample_rate, track.channels) for track in tracks})
    if len(kinds) > 1:
        raise _different(op, [f"{rate} Hz with {channels}" for rate, channels in kinds])


def _different(op: str, given: Sequence[str]) -> RequestError:
    return RequestError(
        f"{op}: expected sounds of one rate and number of channels (resample_audio), "
        f"given {' and '.join(given)}"
    )


def parts_of(operator: Operator, ctx: RunContext, tracks: Mapping[str, Audio]) -> tuple[Any, list[Audio]]:
    """What a part of a sound is made of: its geometry, and what is to be read for it.

    A run hands over just that; a plain call makes all of the output, by the same index map.
    """
    if ctx.span is not None:
        return ctx.span.geometry, list(tracks.values())
    infos = {name: sound_info(track.num_samples, track.sample_rate) for name, track in tracks.items()}
    reads = operator.reads(0, operator.output_info(infos).length, infos)
    return reads.geometry, [tracks[name].slice(*span) for name, span in reads.ports.items()]


def fan_in(tracks: Sequence[Audio]) -> dict[str, Audio]:
    """Sounds by the names of their edges."""
    return {edge_name("audio", i): track for i, track in enumerate(tracks)}
