"""A graph over a checkpoint that a plug-in's network knows; it runs in a process that has the plug-in."""

from fractions import Fraction

import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.operators.size.upscale import Upscale
from flowsynth.values import Frames


class GreyClip(fs.Operator):
    """One grey frame."""

    op = "plugged_clip"
    version = 1

    def run(self, ctx: RunContext, /) -> Frames:
        """Make it."""
        del ctx
        return Frames(torch.full((1, 3, 6, 8), 200, dtype=torch.uint8), Fraction(10))


def graph(weights: str) -> fs.Graph:
    """The frame, enlarged by whatever network the weights are of."""
    made = fs.Graph("plugged")
    large = Upscale(method="network", weights=weights, fidelity=0)
    made.add("large", large, frames=made.add("clip", GreyClip()))
    return made
