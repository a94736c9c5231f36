"""Lines as a draughtsman draws them, white on black.

By the generator of Informative Drawings (Chan, Durand and Isola, arXiv 2203.12691): a checkpoint, or
ORG/NAME/FILE on the hub, such as ``lllyasviel/Annotators/sk_model.pth``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.nets.roles import LINEART
from flowsynth.operators.control._detector import Detector, DetectorParams, Kind, Render

if TYPE_CHECKING:
    from torch import Tensor


class LineArt(Detector):
    """Drawn lines."""

    kind = Kind.NAMED
    role = LINEART

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the network, and draw frames."""
        from flowsynth.models.networks import load_network

        network = load_network(ctx, LINEART, self.checkpoint(ctx, params), params.precision)
        dtype = next(network.parameters()).dtype

        def render(frames: Tensor) -> Tensor:
            import torch

            with torch.inference_mode():
                lines: Tensor = network(frames.to(dtype))
            return 1 - lines.float()

        return render


DETECTOR = LineArt()
