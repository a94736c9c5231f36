"""Motion modules as they were published: every frame is normalised by itself.

AnimateDiff (arXiv 2307.04725) normalises the input of its temporal transformer frame by frame, diffusers'
``AnimateDiffTransformer3D`` channels, frames, height and width together. Published modules were trained the
first way; on random weights the two differ by a quarter of the output's standard deviation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import torch

#: Over what the temporal transformers' group normalisation takes its statistics.
MotionNorm: TypeAlias = Literal["clip", "frame"]


def normalise_frames(unet: Any) -> None:
    """Have the motion modules of a ``UNetMotionModel`` normalise each frame by itself, in place."""
    import torch
    from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D

    class FrameGroupNorm(torch.nn.GroupNorm):
        """Group normalisation of N x C x T x h x w with statistics of their own for every frame."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, channels, frames, height, width = x.shape
            apart = x.transpose(1, 2).reshape(batch * frames, channels, height, width)
            normed = super().forward(apart).view(batch, frames, channels, height, width)
            return normed.transpose(1, 2)

    for module in unet.modules():
        if isinstance(module, AnimateDiffTransformer3D):
            module.norm.__class__ = FrameGroupNorm
