"""Smoothing along the motion: neighbours are warped onto a frame and averaged where they show it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.motion.optical_flow import occlusion, resize_flow, warp
from flowsynth.functional.motion.smooth import neighbours
from flowsynth.functional.motion.steady import plane_size
from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.values.frames import as_float

__all__ = ["Estimate", "Motion", "along_motion"]

#: Flow between batches of frames, `(N, C, H, W)` twice to `(N, 2, H, W)`.
Estimate = Callable[[Tensor, Tensor], Tensor]
#: Pairs of frames whose motion is kept until their second frame asks: all of them up to a radius of 10.
_MOST_PAIRS = 64
#: Deviation between a frame and its warped neighbour that halves trust, roughly, beside the usual one.
_TOLERANCE = 0.05
_NEAR = 6.0  # spread of the neighbourhood whose change of brightness is no sign of a wrong flow, pixels


def along_motion(frames: Tensor, start: int, stop: int, *, radius: int, motion: Motion) -> Tensor:
    """Average each frame with its neighbours, warped onto it, where they are not occluded.

    out_t = (x_t + sum_j v_j warp(x_j, f_tj)) / (1 + sum_j v_j), with the flow f_tj of the guide from frame t
    to j and v_j how far to trust it: 0 where its way back disagrees (`occlusion`), else by how closely the
    guide itself, warped, is what it should be (`_agreement`). Every flow is estimated directly between the
    two frames; none is added up from others, so errors do not pile up.

    Args:
        frames: `(L, C, H, W)`, uint8 or floating point in [0, 1], the halo included.
        start: first frame to give back, an index into `frames`.
        stop: end of the frames to give back.
        radius: neighbours on either side.
        motion: of a guide as long as `frames`.

    Returns:
        `(stop - start, C, H, W)` float32.
    """
    out = torch.empty((stop - start, *frames.shape[1:]), dtype=torch.float32, device=frames.device)
    for row, target in enumerate(range(start, stop)):
        total = as_float(frames[target : target + 1])
        weight = torch.ones_like(total[:, :1])
        for other in neighbours(target, radius, len(frames)):
            if other != target:
                flow, visible = motion.between(target, other)
                total = total + visible * warp(as_float(frames[other : other + 1]), flow)
                weight = weight + visible
        out[row] = (total / weight)[0]
    return out


class Motion:
    """Motion between frames of a guide, each pair estimated once: both ways, for both its frames.

    Args:
        guide: `(L, 3, H, W)`, frames with the same motion as those that are smoothed.
        estimate: of flow.
        side: longer side in pixels at which flow is estimated where frames are larger; 0 is their own size.
    """

    def __init__(self, guide: Tensor, estimate: Estimate, side: int = 0) -> None:
        self._guide, self._estimate = guide, estimate
        height, width = guide.shape[-2:]
        scale = side / max(height, width) if side else 1.0
        self._whole = height, width
        self._size = (max(1, round(height * scale)), max(1, round(width * scale))) if scale < 1 else None
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._planes: dict[int, tuple[Tensor, Tensor]] = {}

    def between(self, own: int, other: int) -> tuple[Tensor, Tensor]:
        """Return the flow from one frame to another, `(1, 2, H, W)`, and how far to trust it, 0 to 1."""
        there, back = self._both(own, other)
        visible = 1 - occlusion(there, back)
        visible = visible * _agreement(self._frame(own), warp(self._frame(other), there), visible)
        if self._size is None:
            return there, visible
        enlarged = F.interpolate(visible, size=self._whole, mode="bilinear", align_corners=False)
        return resize_flow(there, self._whole), enlarged

    def onward(self, first: int) -> tuple[Tensor, Tensor]:
        """Return the flows from a frame to the next one and back on the small plane of `steadied`."""
        if first not in self._planes:
            self._both(first, first + 1)
        return self._planes[first]

    def _both(self, own: int, other: int) -> tuple[Tensor, Tensor]:
        """Return the flows from one frame to the other and back; a pair's first frame asks first."""
        if (other, own) in self._kept:
            back, there = self._kept.pop((other, own)).split(1)
            return there, back
        a, b = self._frame(own), self._frame(other)
        both = self._estimate(torch.cat((a, b)), torch.cat((b, a)))
        if own < other and len(self._kept) < _MOST_PAIRS:
            self._kept[own, other] = both
        there, back = both.split(1)
        if abs(own - other) == 1 and min(own, other) not in self._planes:
            small = [resize_flow(flow, plane_size(*self._whole)) for flow in (there, back)]
            self._planes[min(own, other)] = (small[0], small[1]) if own < other else (small[1], small[0])
        return there, back

    def _frame(self, index: int) -> Tensor:
        frame = as_float(self._guide[index : index + 1])
        if self._size is None:
            return frame
        # Without aliasing, which would move with the grid of pixels and not with the picture.
        return F.interpolate(frame, size=self._size, mode="bilinear", antialias=True, align_corners=False)


def _agreement(frame: Tensor, warped: Tensor, visible: Tensor) -> Tensor:
    """Return 1 where two pictures of the same thing agree, less where the flow led astray.

    exp(-g^2 / 2 (s^2 + m)) with the difference g less its local mean, which flicker of brightness is, and
    its mean square m over what is visible: noise that lies everywhere is no sign of a wrong flow.
    """
    gap = warped - frame
    gap = (gap - gaussian_blur(gap, _NEAR)).square().mean(dim=1, keepdim=True)
    usual = (gap * visible).double().sum() / visible.double().sum().clamp(min=1)
    return torch.exp(-gap / (2 * (_TOLERANCE**2 + usual.float())))
