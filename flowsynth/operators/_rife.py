"""Frames between by RIFE: which need no network, which show a cut, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from flowsynth.core.context import RunContext
from flowsynth.operators._frames import as_rgb, dtype_name
from flowsynth.operators._weights import load_network
from flowsynth.values import Frames
from flowsynth.values.frames import as_dtype, as_float

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.rate import Position
    from flowsynth.nets.ifnet import IFNet


@dataclass(frozen=True, slots=True)
class RifeSettings:
    """How frames between are made.

    Attributes:
        weights: name or file of the checkpoint.
        refine: use the correcting network.
        cut: similarity after motion below which two frames belong to two shots; 0 never.
        precision: of the network's numbers.
    """

    weights: str
    refine: bool
    cut: float
    precision: str


def frames_between(
    ctx: RunContext, frames: Frames, moments: Sequence[Position], settings: RifeSettings
) -> Tensor:
    """Make the frames at some moments of a clip: T, C, H, W in the clip's dtype.

    A moment on a source frame, or between two equal ones, is that frame, bit for bit. Between two shots the
    nearer frame is taken. Each frame depends on its two neighbours alone, however the clip is cut.
    """
    import torch

    build, out = _refined if settings.refine else _plain, []
    source = frames.tensor
    for step, moment in enumerate(moments):
        ctx.progress(step, len(moments))
        first = source[moment.frame : moment.frame + 1]
        second = source[moment.frame + 1 : moment.frame + 2] if moment.weight else first
        if torch.equal(first, second):
            out.append(first)
            continue
        network = load_network(ctx, settings.weights, settings.precision, build)
        pair = first.to(ctx.device), second.to(ctx.device)
        made = _between(network, *pair, moment.weight, settings)
        if made is None:
            out.append(first if moment.weight < Fraction(1, 2) else second)
        else:
            out.append(as_dtype(made, dtype_name(frames)).to(first.device))
    return torch.cat(out) if out else source[:0]


def _between(
    network: IFNet, first: Tensor, second: Tensor, weight: Fraction, settings: RifeSettings
) -> Tensor | None:
    """Make one frame, (1, C, H, W) in [0, 1]; None across a cut."""
    import torch

    from flowsynth.functional.cuts import similarity
    from flowsynth.nets.ifnet import warp_both

    height, width = first.shape[-2:]
    with torch.inference_mode():
        a, b = (_padded(as_float(frame)) for frame in (first, second))
        moment = torch.full((1, 1, 1, 1), float(weight), device=a.device)
        motion = network.motion(as_rgb(a), as_rgb(b), moment)
        ahead, behind = warp_both(a, b, motion)
        if settings.cut:
            alike = similarity(*(as_rgb(x)[..., :height, :width] for x in (ahead, behind)))
            if float(alike) < settings.cut:
                return None
        made = torch.lerp(behind, ahead, motion.mask)
        if settings.refine:
            change = network.residual(as_rgb(a), as_rgb(b), motion)
            colours = min(3, a.shape[1])
            made[:, :colours] += change if colours == 3 else change.mean(1, keepdim=True)
        return made[..., :height, :width].clamp(0, 1)


def _padded(frame: Tensor) -> Tensor:
    """Repeat the border to the right and below, up to what the network takes."""
    from torch.nn import functional as F

    from flowsynth.nets.ifnet import STRIDE

    height, width = frame.shape[-2:]
    return F.pad(frame, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")


def _plain(state: dict[str, Any]) -> IFNet:
    from flowsynth.nets.ifnet import ifnet_from_state

    return ifnet_from_state(state)


def _refined(state: dict[str, Any]) -> IFNet:
    from flowsynth.nets.ifnet import ifnet_from_state

    return ifnet_from_state(state, refine=True)
