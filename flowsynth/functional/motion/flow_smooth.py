"""Smoothing along the motion: neighbours are warped onto a frame and averaged where they show it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.optical_flow import occlusion, resize_flow, warp
from flowsynth.functional.motion.smooth import neighbours
from flowsynth.values.frames import as_float

__all__ = ["Estimate", "along_motion"]

#: Flow between batches of frames, `(N, C, H, W)` twice to `(N, 2, H, W)`.
Estimate = Callable[[Tensor, Tensor], Tensor]


def along_motion(
    frames: Tensor, guide: Tensor, start: int, stop: int, *, radius: int, estimate: Estimate, side: int = 0
) -> Tensor:
    """Average each frame with its neighbours, warped onto it, where they are not occluded.

    out_t = (x_t + sum_j v_j warp(x_j, f_tj)) / (1 + sum_j v_j), with the flow f_tj of the guide from frame t
    to j and v_j = 1 where its way back agrees (`occlusion`), else 0. Every flow is estimated directly
    between the two frames; none is added up from others, so errors do not pile up.

    Args:
        frames: `(L, C, H, W)`, uint8 or floating point in [0, 1], the halo included.
        guide: `(L, 3, H, W)`, frames with the same motion.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side.
        estimate: of flow.
        side: longer side in pixels at which flow is estimated where frames are larger; 0 is their own size.

    Returns:
        `(stop - start, C, H, W)` float32.
    """
    out = torch.empty((stop - start, *frames.shape[1:]), dtype=torch.float32, device=frames.device)
    for row, target in enumerate(range(start, stop)):
        own = as_float(guide[target : target + 1])
        total = as_float(frames[target : target + 1])
        weight = torch.ones_like(total[:, :1])
        for other in neighbours(target, radius, len(frames)):
            if other != target:
                there = as_float(guide[other : other + 1])
                flow, visible = _motion(own, there, estimate, side)
                total = total + visible * warp(as_float(frames[other : other + 1]), flow)
                weight = weight + visible
        out[row] = (total / weight)[0]
    return out


def _motion(own: Tensor, there: Tensor, estimate: Estimate, side: int) -> tuple[Tensor, Tensor]:
    """Estimate the flow from one frame to another, `(1, 2, H, W)`, and where it is seen there, 0 to 1."""
    height, width = own.shape[-2:]
    scale = side / max(height, width) if side else 1.0
    if scale < 1:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        own, there = (F.interpolate(x, size=size, mode="area") for x in (own, there))
    both = estimate(torch.cat((own, there)), torch.cat((there, own)))
    visible = 1 - occlusion(both[:1], both[1:])
    if scale >= 1:
        return both[:1], visible
    enlarged = F.interpolate(visible, size=(height, width), mode="bilinear", align_corners=False)
    return resize_flow(both[:1], (height, width)), enlarged
