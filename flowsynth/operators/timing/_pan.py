"""Fast pans: frames are moved over each other as a whole before a network looks for what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.interpolation.ifnet import IFNet, Motion
    from flowsynth.nets.staged import Apply

_SIDE = 160  # longer side at which the displacement is looked for, pixels
_LEAST = 12.0  # of a displacement, in pixels of the frames: less is found by the network
_CLOSER = 0.5  # how much closer to one another it must bring the frames
_FOUND = 0.9  # share of a frame with a motion near the pan, from which on the network has found it
_NEAR = 2.0  # pixels, and this share of the way, that count as near: the pan is measured on small frames
_NEAR_SHARE = 0.15


def pan(first: Tensor, second: Tensor) -> tuple[int, int]:
    """Find a pan: by how many pixels all of a frame moves; (0, 0) where that doesn't explain the pair.

    Where texture repeats, motion by about its period looks like none, locally: windows and networks take the
    shorter way. The picture as a whole tells.

    Args:
        first: `(1, C, H, W)` in [0, 1].
        second: alike.

    Returns:
        (down, right): what is at (y, x) in `first` is at (y + down, x + right) in `second`.
    """
    from torch.nn import functional as F

    from flowsynth.functional.motion.displacement import displacement, overlap
    from flowsynth.values.frames import as_rgb

    height, width = first.shape[-2:]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    a, b = (F.interpolate(as_rgb(x), size=size, mode="area") for x in (first, second))
    down, right = displacement(a, b)
    moved = round(down * height / size[0]), round(right * width / size[1])
    shared = overlap(a, b, down, right)
    if shared is None or max(map(abs, moved)) < _LEAST:
        return 0, 0
    apart, together = (float((x - y).abs().mean()) for x, y in ((a, b), shared))
    return moved if together < _CLOSER * apart else (0, 0)


def motion_over_pans(
    network: IFNet,
    frames: tuple[Tensor, Tensor],
    moment: Tensor,
    pans: Sequence[tuple[int, int]],
    size: tuple[int, int],
    each: Apply,
) -> Motion:
    """Estimate motion as `IFNet.motion`; where it misses a known pan, of frames moved over each other.

    Args:
        network: that estimates.
        frames: the first and the second of each pair, (N, 3, H, W) float32 in [0, 1]; sides as the network
            needs.
        moment: (N, 1, 1, 1).
        pans: of each pair, (down, right) in pixels.
        size: height and width of what the frames show; the rest is filled.
        each: applies a stage.
    """
    import torch

    from flowsynth.nets.interpolation.ifnet import Motion
    from flowsynth.nets.layers import backward_warp

    first, second = frames

    def of(i: int) -> Motion:
        a, b, at = first[i : i + 1], second[i : i + 1], moment[i : i + 1]
        down, right = pans[i]
        back = [-round(float(at) * way) for way in (right, down)]
        whole = first.new_tensor([*back, right + back[0], down + back[1]]).view(1, 4, 1, 1)
        shift = whole.expand(-1, -1, *a.shape[-2:])
        alone = network.motion(a, b, at, each)
        if _has_found(alone.flow, shift):
            return alone
        moved = backward_warp(a, shift[:, :2]), backward_warp(b, shift[:, 2:])
        # What one frame doesn't show is lent by the other: nothing moves there.
        shown = _inside(shift, size)
        ahead, behind = (torch.where(own, x, y) for own, x, y in zip(shown, moved, moved[::-1], strict=True))
        found = network.motion(ahead, behind, at, each)
        return Motion(found.flow + shift, found.logit + 20.0 * _preference(_inside(found.flow + shift, size)))

    if not any(any(moved) for moved in pans):
        return network.motion(first, second, moment, each)
    still = [i for i, moved in enumerate(pans) if not any(moved)]
    rows = {i: of(i) for i, moved in enumerate(pans) if any(moved)}
    if still:
        rest = network.motion(first[still], second[still], moment[still], each)
        rows |= {i: Motion(*(part[j : j + 1] for part in rest)) for j, i in enumerate(still)}
    return Motion(*(torch.cat(parts) for parts in zip(*(rows[i] for i in sorted(rows)), strict=True)))


def _has_found(flow: Tensor, shift: Tensor) -> bool:
    """Whether a motion (1, 4, H, W) is that of the pan nearly everywhere: it is then finer than the pan."""
    off = (flow - shift).abs().amax(1)
    return bool((off <= _NEAR + _NEAR_SHARE * shift.abs().amax()).float().mean() >= _FOUND)


def _inside(flow: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return where the first and where the second frame shows what a motion (N, 4, H, W) reads of it."""
    from flowsynth.functional.picture.warp import pixel_grid

    last = flow.new_tensor([size[1] - 1, size[0] - 1]).view(1, 2, 1, 1)
    first, second = (pixel_grid(flow) + part for part in flow.split(2, dim=1))
    ahead, behind = (((at >= -0.5) & (at <= last + 0.5)).all(1, keepdim=True) for at in (first, second))
    return ahead, behind


def _preference(inside: tuple[Tensor, Tensor]) -> Tensor:
    """Return 1 where only the first frame shows a place, -1 where only the second does, else 0."""
    ahead, behind = inside
    return ahead.float() - behind.float()
