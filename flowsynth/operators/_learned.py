"""Detectors of `annotate` that are trained networks: each loads, and gives a function of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.core.context import RunContext
from flowsynth.operators._weights import Precision, load_network

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.hed import HED

#: From frames (N, 3, H, W), RGB in [0, 1], to a map (N, 1 or 3, H, W) in [0, 1].
Render = Callable[["Tensor"], "Tensor"]


class LearnedParams(Protocol):
    """Parameters of `annotate` that these detectors read."""

    @property
    def levels(self) -> int: ...
    @property
    def precision(self) -> Precision: ...


#: From the context, the weights and the parameters.
Loader = Callable[[RunContext, str, LearnedParams], Render]


def load_hed(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """Edges, white on black, the wider and greyer the less sure."""
    network = load_network(ctx, weights, params.precision, _hed)
    dtype = next(network.parameters()).dtype

    def render(frames: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            return network(frames.to(dtype)).float()  # type: ignore[no-any-return]

    return render


def load_softedge(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """HED's edges in a few levels."""
    from flowsynth.functional.softedge import quantise

    hed = load_hed(ctx, weights, params)
    return lambda frames: quantise(hed(frames), params.levels)


def _hed(state: dict[str, Any]) -> HED:
    from flowsynth.nets.hed import hed_from_state

    return hed_from_state(state)


LEARNED: Mapping[str, Loader] = {"hed": load_hed, "softedge": load_softedge}
#: Weights that a detector takes unless told otherwise.
DEFAULT_WEIGHTS: Mapping[str, str] = {"hed": "hed-bsds500", "softedge": "hed-bsds500"}
