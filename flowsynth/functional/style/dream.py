"""DeepDream: a network sees more of what it sees in a picture (Mordvintsev, Olah and Tyka 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.cut.shots import same_shot
from flowsynth.functional.cut.threshold import CUT
from flowsynth.functional.motion.optical_flow import classical_flow, occlusion, warp
from flowsynth.functional.picture.resize import bicubic

__all__ = ["DreamSettings", "carried", "dream"]

#: From a picture `(1, 3, H, W)` in [0, 1] to what the layers of a network answer, the first one first.
Features = Callable[[Tensor], Iterable[Tensor]]


@dataclass(frozen=True)
class DreamSettings:
    """How far a picture is changed.

    Attributes:
        layers: whose answers are raised, indices from 0.
        octaves: sizes that are worked on, `octave_scale` times one another; the last is the picture's own.
        octave_scale: above 1.
        steps: of gradient ascent in each octave.
        step_size: mean change of a step, in units of the range.
        jitter: farthest shift of a step, pixels: it keeps the network's grid out of the picture.
        seed: of the shifts.
        least: shortest side that the network answers, pixels; smaller octaves are left out.
    """

    layers: Sequence[int]
    octaves: int
    octave_scale: float
    steps: int
    step_size: float
    jitter: int
    seed: int
    least: int


def dream(picture: Tensor, features: Features, settings: DreamSettings, held: Tensor | None = None) -> Tensor:
    """Raise what a network's layers answer, coarse to fine.

    In each octave the picture, with what was changed so far, takes steps x + s g / mean|g|, where g is the
    gradient of the sum of mean_l a_l^2 / 2 over the layers' answers a_l. What an octave changed is enlarged
    and begins the next.

    Args:
        picture: `(1, 3, H, W)` float32 in [0, 1].
        features: the network.
        settings: how far.
        held: `(1, 3, H, W)`, a change to begin with, such as that of the frame before; see `carried`.

    Returns:
        `(1, 3, H, W)` in [0, 1].
    """
    generator = torch.Generator().manual_seed(settings.seed)
    change = torch.zeros_like(picture[..., :1, :1])
    for size in _octaves(picture.shape[-2], picture.shape[-1], settings):
        base = picture if picture.shape[-2:] == size else bicubic(picture, size)
        change = _enlarged(change, size)
        if held is not None:
            begun = held if held.shape[-2:] == size else bicubic(held, size)
            change = torch.where(change.abs() > begun.abs(), change, begun)
        for _ in range(settings.steps):
            reach = settings.jitter
            shift = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
            change = _step(base, change, shift, features, settings)
    return (picture + change).clamp(0, 1)


def _step(base: Tensor, change: Tensor, shift: list[int], features: Features, s: DreamSettings) -> Tensor:
    """One step of ascent; what leaves the range is cut off, so that the change stays what is seen of it."""
    moved = torch.roll(base + change, shift, (2, 3)).detach()
    gradient = torch.roll(_gradient(moved, features, s), [-x for x in shift], (2, 3))
    raised = base + change + s.step_size * gradient / (gradient.abs().mean() + 1e-8)
    return raised.clamp(0, 1) - base


def _gradient(picture: Tensor, features: Features, s: DreamSettings) -> Tensor:
    """Where the picture must go for the layers to answer more, `(1, 3, H, W)`."""
    with torch.enable_grad():
        asked = picture.clone().requires_grad_()
        lacking = [max(0, s.least - side) for side in asked.shape[-2:]]
        padded = F.pad(asked, (0, lacking[1], 0, lacking[0]), mode="replicate")
        answers = list(features(padded))
        loss = torch.stack([answers[layer].square().mean() / 2 for layer in s.layers]).sum()
        (gradient,) = torch.autograd.grad(loss, asked)
    return gradient.detach()


def _octaves(height: int, width: int, s: DreamSettings) -> list[tuple[int, int]]:
    """Sizes, small to large; always the picture's own."""
    sizes = [(height, width)]
    for octave in range(1, s.octaves):
        scale = s.octave_scale**octave
        size = round(height / scale), round(width / scale)
        if min(size) < s.least:
            break
        sizes.append(size)
    return sizes[::-1]


def _enlarged(change: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(change, size=size, mode="bilinear", align_corners=False)


def carried(picture: Tensor, before: Tensor, change: Tensor, share: float) -> Tensor | None:
    """A frame's part of what was changed in the frame before: moved along the flow, where it is still seen.

    Args:
        picture: `(1, 3, H, W)` in [0, 1].
        before: the frame before, as it was.
        change: what was added to it.
        share: that stays, 0 to 1.

    Returns:
        `(1, 3, H, W)`, or None at a cut.
    """
    if not same_shot(before, picture, CUT):
        return None
    there, back = classical_flow(torch.cat((picture, before)), torch.cat((before, picture))).split(1)
    visible = 1 - occlusion(there, back)
    return share * visible * warp(change, there)
