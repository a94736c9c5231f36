"""The estimators of optical flow, as operators choose them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flowsynth.core.context import RunContext

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.motion.flow_smooth import Estimate

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
    from flowsynth.models.networks import load_network
    from flowsynth.nets.roles import MOTION

    network = load_network(ctx, MOTION, _WEIGHTS[estimator])

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            flow: Tensor = network(first, second)
        return flow.clone()  # made outside of inference mode, it may be used anywhere

    return estimate
