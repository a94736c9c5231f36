"""Predict noise for several prompts, each for its part of the picture and of the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.control import Control
from flowsynth.models.diffusion.regions import Region
from flowsynth.models.diffusion.travel import travel
from flowsynth.models.diffusion.windows import Prediction, predict_noise

if TYPE_CHECKING:
    import torch

#: Latent pixels over which a box fades in where it ends inside the picture.
_FADE = 8
#: Pixels along the side of a latent pixel.
_FACTOR = 8


@dataclass(frozen=True)
class Regions:
    """What is said on either side.

    Attributes:
        prompt: what to show.
        negative: what not to show.
        factor: pixels along the side of a latent pixel.
    """

    prompt: Sequence[Region]
    negative: Sequence[Region]
    factor: int = _FACTOR

    def sides(self, guided: bool) -> list[Sequence[Region]]:
        """The negative ones first, where there is guidance."""
        return [self.negative, self.prompt] if guided else [self.prompt]


def predict_regions(
    job: Prediction,
    sides: Sequence[Sequence[Region]],
    controls: Sequence[tuple[Control, float]],
    at: tuple[torch.Tensor, int, int],
    sample_TCHW: torch.Tensor,
    factor: int,
) -> torch.Tensor:
    """The mean of what the prompts of each side predict, G x T x C x h x w.

    Args:
        job: networks and windows; its text is not used.
        sides: regions a side.
        controls: active ControlNets; they act where a region has no box.
        at: the timestep, its step from 0, and how many steps there are.
        sample_TCHW: latents scaled for the scheduler.
        factor: pixels along the side of a latent pixel.
    """
    import torch

    t, step, steps = at
    made = []
    for regions in sides:
        total = torch.zeros_like(sample_TCHW, dtype=torch.float32)
        weight = torch.full_like(total[:, :1], 1e-37)
        for region in regions:
            if not region.acts(step, steps) or region.strength == 0:
                continue
            rows, columns = _place(region, sample_TCHW.shape[-2:], factor)
            part = sample_TCHW[..., rows, columns]
            if region.box is not None and controls:
                raise RequestError(
                    "denoise: a box of a prompt beside a control; expected a mask in its place"
                )
            text = _text(region, part)
            given = () if region.box is not None else controls
            out = predict_noise(replace(job, text=text), given, t, part[None].contiguous())[0]
            share = _weight(region, part, (rows, columns), sample_TCHW.shape[-2:])
            total[..., rows, columns] += out.float() * share
            weight[..., rows, columns] += share
        made.append((total / weight).to(sample_TCHW.dtype))
    return torch.stack(made)


def _text(region: Region, part: torch.Tensor) -> torch.Tensor:
    """States a frame, 1 x T x L x D."""
    frames = part.shape[0]
    states = travel(region.states.to(part.device, part.dtype), region.frames, frames)
    return states.expand(frames, -1, -1)[None]


def _place(region: Region, size: Sequence[int], factor: int) -> tuple[slice, slice]:
    """Rows and columns of latent pixels."""
    height, width = size
    if region.box is None:
        return slice(0, height), slice(0, width)
    left, top, across, down = region.box
    if region.shares:
        left, across, top, down = left * width, across * width, top * height, down * height
    else:
        left, across, top, down = (side / factor for side in (left, across, top, down))
    return _span(top, down, height), _span(left, across, width)


def _span(first: float, length: float, limit: int) -> slice:
    """At least one latent pixel, inside."""
    start = min(math.floor(first + 0.5), limit - 1)
    return slice(start, min(start + max(math.floor(length + 0.5), 1), limit))


def _weight(
    region: Region, part: torch.Tensor, place: tuple[slice, slice], size: Sequence[int]
) -> torch.Tensor:
    """How much a region counts, T or 1 x 1 x h x w, float32."""
    import torch
    from torch.nn import functional as F

    weight = torch.full((1, 1, *part.shape[-2:]), region.strength, device=part.device)
    if region.mask is not None:
        mask = region.mask.to(part.device, torch.float32)
        weight = weight * F.interpolate(
            mask, size=tuple(part.shape[-2:]), mode="bilinear", align_corners=False
        )
    if region.box is None:
        return weight
    for axis, span, limit in ((-2, place[0], size[0]), (-1, place[1], size[1])):
        weight = weight * _fade(span, limit, part.device).reshape((-1, 1) if axis == -2 else (1, -1))
    return weight


def _fade(span: slice, limit: int, device: torch.device) -> torch.Tensor:
    """Rising from each end that is not the picture's."""
    import torch

    length = span.stop - span.start
    index = torch.arange(length, device=device, dtype=torch.float32)
    ramp = torch.ones(length, device=device)
    if span.start > 0:
        ramp = ramp * ((index + 1) / _FADE).clamp(max=1)
    if span.stop < limit:
        ramp = ramp * ((length - index) / _FADE).clamp(max=1)
    return ramp
