"""Several prompts on one picture: which part of it, which steps and how much each is for.

A conditioning of one prompt a side holds ``prompt`` and ``negative``. One of several holds besides
``prompt.1``, ``prompt.2``, ... (``negative.1``, ...), masks as ``prompt.0.mask``, and under ``regions`` of
its JSON what is said of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError
from flowsynth.values import Conditioning

if TYPE_CHECKING:
    import torch

Side: TypeAlias = Literal["prompt", "negative"]
SIDES: tuple[Side, ...] = ("prompt", "negative")
#: left, top, width, height.
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """A prompt and where it holds.

    Attributes:
        states: K x L x D.
        frames: the K frames of a travelling prompt.
        mask: N x 1 x H x W in [0, 1], or None for all of the picture.
        box: a rectangle that alone is looked at, in pixels or shares of the picture.
        shares: whether the box is in shares.
        strength: weight beside other regions.
        start: share of the steps before it acts.
        end: share of the steps until it stops.
    """

    states: torch.Tensor
    frames: tuple[int, ...] = (0,)
    mask: torch.Tensor | None = None
    box: Box | None = None
    shares: bool = False
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether it holds everywhere, at every step, as a prompt alone does."""
        everywhere = self.mask is None and self.box is None
        return everywhere and (self.strength, self.start, self.end) == (1.0, 0.0, 1.0)

    def acts(self, step: int, steps: int) -> bool:
        """Whether it acts at a step, from 0, of some."""
        return step / steps >= self.start and (step + 1) / steps <= self.end


def regions_of(conditioning: Conditioning, side: Side, op: str) -> list[Region]:
    """The prompts of one side.

    Raises:
        RequestError: a conditioning of a family that takes one prompt as it is.
    """
    tensors, meta = conditioning.tensors, conditioning.meta
    if not set(SIDES) <= set(tensors):
        raise RequestError(
            f"{op}: the conditioning of family {conditioning.family!r} holds one prompt as its own encoder"
            " made it; expected that of a family whose prompts can be mixed, such as sd"
        )
    said = meta.get("regions")
    listed = said.get(side) if isinstance(said, dict) else None
    if not isinstance(listed, list):
        return [Region(tensors[side], _frames(meta.get(f"{side}_frames")))]
    found = []
    for k, entry in enumerate(listed):
        numbers = entry if isinstance(entry, dict) else {}
        name = side if k == 0 else f"{side}.{k}"
        found.append(_region(tensors[name], tensors.get(f"{side}.{k}.mask"), numbers))
    return found


def _region(states: torch.Tensor, mask: torch.Tensor | None, said: dict[str, Json]) -> Region:
    box = said.get("box")
    sides = [float(str(each)) for each in box] if isinstance(box, list) else None
    return Region(
        states,
        _frames(said.get("frames")),
        mask,
        None if sides is None else (sides[0], sides[1], sides[2], sides[3]),
        bool(said.get("shares")),
        *(
            float(str(said.get(name, default)))
            for name, default in (("strength", 1), ("start", 0), ("end", 1))
        ),
    )


def _frames(found: Json) -> tuple[int, ...]:
    return tuple(int(str(frame)) for frame in found) if isinstance(found, list) else (0,)


def conditioning_of(family: str, prompt: Sequence[Region], negative: Sequence[Region]) -> Conditioning:
    """A conditioning of prompts; of one plain prompt a side it is as `text_encode` makes it."""
    sides: dict[Side, Sequence[Region]] = {"prompt": prompt, "negative": negative}
    tensors: dict[str, torch.Tensor] = {}
    meta: dict[str, Json] = {}
    for side, regions in sides.items():
        meta[f"{side}_frames"] = list(regions[0].frames)
        for k, region in enumerate(regions):
            tensors[side if k == 0 else f"{side}.{k}"] = region.states
            if region.mask is not None:
                tensors[f"{side}.{k}.mask"] = region.mask
    if any(len(regions) > 1 or not regions[0].plain for regions in sides.values()):
        meta["regions"] = {side: [_said(region) for region in regions] for side, regions in sides.items()}
    return Conditioning(family, tensors, meta)


def _said(region: Region) -> dict[str, Json]:
    return {
        "frames": list(region.frames),
        "box": None if region.box is None else list(region.box),
        "shares": region.shares,
        "strength": region.strength,
        "start": region.start,
        "end": region.end,
    }


def averaged(one: torch.Tensor, two: torch.Tensor, share: float) -> torch.Tensor:
    """States between two prompts'; what the second lacks in tokens counts as zeros.

    Args:
        one: K x L x D.
        two: K x L' x D.
        share: of the first.
    """
    import torch

    length = one.shape[1]
    two = two[:, :length]
    if two.shape[1] < length:
        two = torch.cat([two, two.new_zeros(two.shape[0], length - two.shape[1], two.shape[2])], dim=1)
    return share * one + (1 - share) * two


def mixed(
    ones: Sequence[Region], other: Region | None, mode: Literal["average", "concat", "zero"], share: float
) -> list[Region]:
    """Regions with their states mixed with another prompt's, or zero."""
    import torch

    def states(region: Region) -> torch.Tensor:
        if mode == "zero" or other is None:
            return torch.zeros_like(region.states)
        if mode == "average":
            return averaged(region.states, other.states, share)
        return torch.cat([region.states, other.states.expand(region.states.shape[0], -1, -1)], dim=1)

    return [replace(region, states=states(region)) for region in ones]
