"""What operators on sound share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.values import Audio

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def to_array(audio: Audio) -> Array:
    """The samples, (channels, samples) float32."""
    samples: Array = audio.samples.cpu().numpy()
    return samples


def to_audio(samples: Array, rate: int) -> Audio:
    """Samples as a value of its own."""
    import numpy as np
    import torch

    return Audio(torch.from_numpy(np.array(samples, np.float32, order="C")), rate)


def require_alike(op: str, tracks: Sequence[Audio]) -> None:
    """Checks that sounds agree in rate and channels.

    Raises:
        RequestError: They don't.
    """
    kinds = {(track.sample_rate, track.samples.shape[0]) for track in tracks}
    if len(kinds) > 1:
        given = " and ".join(f"{rate} Hz with {channels}" for rate, channels in sorted(kinds))
        raise RequestError(
            f"{op}: expected sounds of one rate and number of channels (resample_audio), given {given}"
        )
