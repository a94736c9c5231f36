"""The estimators of optical flow, as operators choose them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flowsynth.core.context import RunContext
from flowsynth.operators.shared.weights import load_network

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.motion.flow_smooth import Estimate
    from flowsynth.nets.spynet import SPyNet

Estimator = Literal["classical", "spynet"]
#: Weights of the estimators that are networks; SPyNet's lie in BasicVSR's checkpoint.
_WEIGHTS = {"spynet": "basicvsr-reds4"}


def motion_weights(estimator: Estimator) -> str | None:
    """Return the name of the weights that an estimator needs, if any."""
    return _WEIGHTS.get(estimator)


def load_estimator(ctx: RunContext, estimator: Estimator) -> Estimate:
    """Return the function from two batches of frames `(N, 3, H, W)` in [0, 1] to the flow `(N, 2, H, W)`.

    Raises:
        OfflineError: the weights are not in the cache and can't be fetched; says how to get them.
    """
    if estimator == "classical":
        from flowsynth.functional.motion.optical_flow import classical_flow

        return classical_flow
    network = load_network(ctx, _WEIGHTS[estimator], "float32", _spynet)

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            flow: Tensor = network(first, second)
        return flow.clone()  # made outside of inference mode, it may be used anywhere

    return estimate


def _spynet(state: dict[str, Any]) -> SPyNet:
    from flowsynth.nets.spynet import spynet_from_state

    return spynet_from_state(state)
