"""Edges as people draw them, white on black, thick and soft.

By HED (Xie and Tu, "Holistically-nested edge detection", arXiv 1504.06375). Takes frames whole: about a
kilobyte of memory a pixel. Its weights are converted once by h5py (``pip install 'flowsynth-engine[h5]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.nets.roles import EDGES
from flowsynth.operators.control._detector import Detector, DetectorParams, Kind, Render

if TYPE_CHECKING:
    from torch import Tensor


class Hed(Detector):
    """Edges, the wider and greyer the less sure."""

    kind = Kind.FETCHED
    role = EDGES
    default_weights: ClassVar[str] = "hed-bsds500"

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the network, and find the edges of frames."""
        from flowsynth.models.networks import load_network

        network = load_network(ctx, EDGES, self.checkpoint(ctx, params), params.precision)
        dtype = next(network.parameters()).dtype

        def render(frames: Tensor) -> Tensor:
            import torch

            with torch.inference_mode():
                edges: Tensor = network(frames.to(dtype))
            return edges.float()

        return render


DETECTOR = Hed()
