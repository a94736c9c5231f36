"""Nearest-neighbour fields between pictures by patch match, for batches of pairs.

A field says, for every pixel of a target picture, which pixel of a source picture has the most similar
patch around it. It is found on a pyramid by guessing and keeping what is better: a good guess is a
neighbour's match shifted by one pixel, or a random one close by (Barnes et al. 2009, with the error of
FastBlend, arXiv 2311.09265, which weighs a guide video against the pictures to be remapped).

Guesses are drawn once for all pairs, so a field depends on its own two pictures and the seed alone,
whatever batch it is computed in.

The two costly steps, a pass of the search and the carrying over, are done by torch, or on CUDA by Triton
kernels of the same arithmetic (`_steps` chooses). Both are given the same guesses.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.patchmatch import search_torch
from flowsynth.functional.patchmatch.field import Field, identity

__all__ = ["Field", "MatchSettings", "match", "patch_sizes", "pyramid_sizes", "remap"]


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How fields are searched.

    Attributes:
        patch: side of the smallest patch, pixels, odd; the i-th of n passes uses patch + 2 (n - 1 - i).
        iterations: passes at each level of the pyramid.
        guide_weight: weight of the guide's error against that of the remapped picture.
        searches: random guesses a pass.
        reach: how far from the current match a random guess may lie, pixels along each axis.
        seed: of the random guesses.
    """

    patch: int = 5
    iterations: int = 5
    guide_weight: float = 10.0
    searches: int = 3
    reach: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse patches without a centre."""
        if self.patch < 1 or self.patch % 2 == 0 or self.iterations < 1:
            raise ValueError(
                f"patch match: expected an odd patch and at least 1 iteration, "
                f"given {self.patch} and {self.iterations}"
            )


def patch_sizes(settings: MatchSettings) -> list[int]:
    """Return the patch of each pass, from the largest to the smallest."""
    return [settings.patch + 2 * (settings.iterations - 1 - i) for i in range(settings.iterations)]


def pyramid_sizes(height: int, width: int, patch: int) -> list[tuple[int, int]]:
    """Return the sizes of the pyramid, coarse to fine: floor(log2(min side / patch)) levels, at least one."""
    levels = max(1, int(math.log2(max(min(height, width) / patch, 1))))
    return [(max(1, height >> k), max(1, width >> k)) for k in reversed(range(levels))]


def match(
    source_guide: Tensor,
    target_guide: Tensor,
    source_style: Tensor,
    settings: MatchSettings,
    hints: Sequence[Field] = (),
) -> tuple[Field, Tensor]:
    """Find where each target pixel comes from, and carry the source's picture over.

    The error of a match is `guide_weight` x SSD of the guide's patches + SSD of the source picture's patch
    and the patch of what is remapped so far. A guess is taken only if its error is strictly lower, so that
    a picture matched with itself stays the identity, and no pass makes any pixel's error higher.

    Args:
        source_guide: `(B, C, H, W)` float32.
        target_guide: `(B, C, H, W)`.
        source_style: `(B, D, H, W)`, the picture to carry from source to target.
        settings: of the search.
        hints: fields of the pairs' size to be tried at every level, such as those of neighbouring frames.

    Returns:
        The field and the remapped picture `(B, D, H, W)`.
    """
    field: Field | None = None
    remapped = source_style
    height, width = source_guide.shape[-2:]
    for size in pyramid_sizes(height, width, settings.patch):
        source, target, style = (_at_size(x, size) for x in (source_guide, target_guide, source_style))
        field = identity(source) if field is None else _at_level(field, size)
        tried = [_at_level(hint, size) for hint in hints]
        field, remapped = _search_level(source, target, style, field, settings, tried)
    if field is None:
        raise AssertionError("a pyramid has at least one level")
    return field, remapped


def remap(picture: Tensor, field: Field, patch: int) -> Tensor:
    """Carry a picture along a field: each pixel is the mean of what every patch that covers it proposes.

    The patch around p proposes source pixel field(p) + d for its pixel p + d. Proposals from outside the
    source don't count.

    Args:
        picture: `(B, D, H, W)`, the source.
        field: from target to source.
        patch: side of the patches, pixels, odd.

    Returns:
        `(B, D, H, W)`.
    """
    return _steps(picture.device).remap(picture, field, patch)


class _Steps(NamedTuple):
    """One way to do the two costly steps."""

    improve: Callable[[Tensor, Tensor, Field, int, Sequence[Field], Tensor], Field]
    remap: Callable[[Tensor, Field, int], Tensor]


@cache
def _steps(device: torch.device) -> _Steps:
    """Return the Triton kernels where they work, that is on CUDA with triton, else torch.

    Triton compiles at run time and needs a C compiler and a driver it knows. Where it fails, or its field on
    a small example is not torch's to the bit, a warning says so and torch does the work: slower, not wrong.
    """
    by_torch = _Steps(search_torch.improve, search_torch.remap)
    if device.type != "cuda" or find_spec("triton") is None:
        return by_torch
    try:
        from flowsynth.functional.patchmatch import search_triton

        search_triton.prove(device)
    except Exception as error:  # whatever breaks in a compiler must not end a run that torch can do
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(f"patch match on {device}: torch instead of Triton kernels: {reason}", stacklevel=2)
        return by_torch
    return _Steps(search_triton.improve, search_triton.remap)


def _search_level(
    source_guide: Tensor,
    target_guide: Tensor,
    source_style: Tensor,
    field: Field,
    settings: MatchSettings,
    hints: Sequence[Field],
) -> tuple[Field, Tensor]:
    """Run all passes at one size; returns the field and the remapped picture. The first tries the hints."""
    height, width = source_guide.shape[-2:]
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + height * 4099 + width)
    steps, scale = _steps(source_guide.device), math.sqrt(settings.guide_weight)
    source = torch.cat((source_guide * scale, source_style), dim=1)
    sizes = patch_sizes(settings)
    remapped = steps.remap(source_style, field, sizes[0])
    for patch in sizes:
        target = torch.cat((target_guide * scale, remapped), dim=1)
        draws = _draws(settings, height, width, generator).to(source.device)
        field = steps.improve(source, target, field, patch, hints, draws)
        hints = ()
        remapped = steps.remap(source_style, field, patch)
    return field, remapped


def _draws(settings: MatchSettings, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw the random guesses of a pass on the CPU, so that they are the same on every device."""
    shape = (settings.searches, 2, height, width)
    return torch.randint(-settings.reach, settings.reach + 1, shape, generator=generator)


def _at_size(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Reduce a picture by averaging areas."""
    return picture if picture.shape[-2:] == size else F.interpolate(picture, size=size, mode="area")


def _at_level(field: Field, size: tuple[int, int]) -> Field:
    """Carry a field to another level: displacements grow with the picture, each pixel takes the nearest."""
    height, width = field.rows.shape[-2:]
    like = field.rows.new_empty((field.rows.shape[0], 1, *size))
    fine = identity(like)
    rows = (fine.rows * height).div(size[0], rounding_mode="floor")
    columns = (fine.columns * width).div(size[1], rounding_mode="floor")
    index = (rows * width + columns).flatten(1)
    down = (field.rows.flatten(1).gather(1, index).view_as(rows) - rows).double().mul(size[0] / height)
    right = (field.columns.flatten(1).gather(1, index).view_as(rows) - columns).double().mul(size[1] / width)
    return Field(
        (fine.rows + down.round().long()).clamp(0, size[0] - 1),
        (fine.columns + right.round().long()).clamp(0, size[1] - 1),
    )
