"""Frames between by RIFE: which need no network, which show a cut, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.operators.shared.frames import dtype_name
from flowsynth.operators.size._super import in_tiles
from flowsynth.operators.timing._pan import motion_over_pans, pan
from flowsynth.values import Frames
from flowsynth.values.frames import NanCheck, as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.motion.rate import Position


@dataclass(frozen=True, slots=True)
class RifeSettings:
    """How frames between are made.

    Attributes:
        weights: name or file of the checkpoint.
        refine: use the correcting network.
        cut: share of the picture that two frames must show both to be of one shot; 0: all are.
        precision: of the network's numbers.
        batch: frames made together.
        tile: most pixels along a side that a part of the network gets at once; 0: all; None: what 1 GiB
            holds.
    """

    weights: str
    refine: bool
    cut: float
    precision: str
    batch: int
    tile: int | None


def frames_between(
    ctx: RunContext, frames: Frames, moments: Sequence[Position], settings: RifeSettings
) -> Tensor:
    """Make the frames at some moments of a clip: T, C, H, W in the clip's dtype.

    A moment on a source frame, or between two equal ones, is that frame, bit for bit. Between two shots the
    nearer frame is taken. Each frame depends on its two neighbours alone, however the clip is cut.
    """
    import torch

    source = frames.tensor
    out = torch.empty((len(moments), *source.shape[1:]), dtype=source.dtype, device=source.device)
    asked: list[int] = []
    for i, moment in enumerate(moments):
        if moment.weight and not torch.equal(source[moment.frame], source[moment.frame + 1]):
            asked.append(i)
        else:
            out[i] = source[moment.frame]
    looked, batch = NanCheck(), ctx.portions.of(settings.batch)
    for start in range(0, len(asked), batch):
        ctx.progress(start, len(asked))
        rows = asked[start : start + batch]
        wanted = [moments[i] for i in rows]
        first, second = (
            torch.stack([source[m.frame + later] for m in wanted]).to(ctx.device) for later in (0, 1)
        )
        made, apart = _between(ctx, first, second, [m.weight for m in wanted], settings)
        shown = looked.as_dtype(made, dtype_name(frames)).to(source.device)
        for i, row, frame, cut in zip(rows, wanted, shown, apart, strict=True):
            out[i] = source[row.frame + (2 * row.weight >= 1)] if cut else frame
    looked.end()
    return out


def _between(
    ctx: RunContext, first: Tensor, second: Tensor, weights: Sequence[Fraction], settings: RifeSettings
) -> tuple[Tensor, list[bool]]:
    """Make frames (N, C, H, W) in [0, 1], and say which of them lie across a cut.

    Args:
        ctx: where the network is and runs.
        first: the frames before, (N, C, H, W), in the clip's dtype.
        second: the frames after.
        weights: how far from one to the other, in (0, 1).
        settings: how they are made.
    """
    import torch

    from flowsynth.functional.cut.shots import same_shot
    from flowsynth.models.networks import load_network
    from flowsynth.nets.interpolation.ifnet import warp_both
    from flowsynth.nets.roles import INTERPOLATION

    apart = [not same_shot(*pair, settings.cut) for pair in zip(first.split(1), second.split(1), strict=True)]
    if all(apart):
        return as_float(first), apart  # not shown
    network = load_network(ctx, INTERPOLATION, settings.weights, settings.precision, refine=settings.refine)
    height, width = first.shape[-2:]
    each = in_tiles(settings.tile, ctx.portions)
    with torch.inference_mode():
        a, b = (network.needs.filled(as_float(frame)) for frame in (first, second))
        moment = torch.tensor([float(w) for w in weights], device=a.device).view(-1, 1, 1, 1)
        pans = [pan(*map(as_float, pair)) for pair in zip(first.split(1), second.split(1), strict=True)]
        both = as_rgb(a), as_rgb(b)
        motion = motion_over_pans(network, both, moment, pans, (height, width), each)
        ahead, behind = warp_both(a, b, motion)
        made = torch.lerp(behind, ahead, motion.mask)
        if settings.refine:
            change = network.residual(as_rgb(a), as_rgb(b), motion, each)
            colours = min(3, a.shape[1])
            made[:, :colours] += change if colours == 3 else change.mean(1, keepdim=True)
        return made[..., :height, :width].clamp(0, 1), apart
