"""Nearest-neighbour fields between pictures by patch match, for batches of pairs.

A field says, for every pixel of a target picture, which pixel of a source picture has the most similar
patch around it. It is found on a pyramid by guessing and keeping what is better: a good guess is a
neighbour's match shifted by one pixel, or a random one close by (Barnes et al. 2009, with the error of
FastBlend, arXiv 2311.09265, which weighs a guide video against the pictures to be remapped).

Guesses are drawn once for all pairs, so a field depends on its own two pictures and the seed alone,
whatever batch it is computed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Field", "MatchSettings", "match", "patch_sizes", "pyramid_sizes", "remap"]

#: Floats of one gathered block: small enough to stay in a core's cache between the operations on it.
_BLOCK = 1 << 18


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


@dataclass(frozen=True, slots=True)
class Field:
    """For each target pixel the row and column of its match in the source, both `(B, H, W)` int64."""

    rows: Tensor
    columns: Tensor

    def stretched(self, factor: float) -> Field:
        """Return the field with all displacements multiplied: where steady motion leads in other time."""
        own = _identity(self.rows[:, None])
        rows, columns = (
            (at + (to - at) * factor).round().long().clamp(0, size - 1)
            for at, to, size in zip(
                (own.rows, own.columns), (self.rows, self.columns), self.rows.shape[1:], strict=True
            )
        )
        return Field(rows, columns)


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
        field = _identity(source) if field is None else _at_level(field, size)
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
    groups = [_remap_three(part, field, patch) for part in torch.split(picture, 3, dim=1)]
    return torch.cat(groups, dim=1)


def _remap_three(picture: Tensor, field: Field, patch: int) -> Tensor:
    """Carry up to three channels along a field.

    Three channels and a count make 16 bytes, which are moved as one complex number: a quarter of the time
    of gathering rows of four.
    """
    batch, channels, height, width = picture.shape
    radius = patch // 2
    pitch, plane = width + 2 * radius, (height + 2 * radius) * (width + 2 * radius)
    counted = torch.cat((F.pad(picture, (0, 0, 0, 0, 0, 3 - channels)), torch.ones_like(picture[:, :1])), 1)
    # A border of zeros with a count of zero takes the proposals from outside the source. The same goes for
    # patches whose centre lies outside the target: they point at rows of zeros before the first picture.
    lead = patch * pitch
    flat = torch.cat((counted.new_zeros(lead, 4), _padded(counted, radius).reshape(-1, 4)))
    pixels = torch.cat((flat, flat.new_zeros(lead, 4))).view(torch.complex128).view(-1)
    starts = torch.arange(batch, device=picture.device)[:, None, None] * plane + lead
    centres = starts + (field.rows + radius) * pitch + field.columns + radius
    framed = F.pad(centres, (radius,) * 4, value=radius * (pitch + 1))
    total = flat.new_zeros(batch * height * width, 4)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            near = framed[:, radius - dy :, radius - dx :][:, :height, :width] + (dy * pitch + dx)
            total += pixels.index_select(0, near.reshape(-1)).view(torch.float32).view(-1, 4)
    mean = total[:, :channels] / total[:, 3:]
    return mean.view(batch, height, width, channels).permute(0, 3, 1, 2).contiguous()


def _padded(picture: Tensor, radius: int) -> Tensor:
    """Return the picture channels-last with a border of zeros."""
    return F.pad(picture, (radius,) * 4).permute(0, 2, 3, 1).contiguous()


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
    scale = math.sqrt(settings.guide_weight)
    source = torch.cat((source_guide * scale, source_style), dim=1)
    sizes = patch_sizes(settings)
    remapped = remap(source_style, field, sizes[0])
    for patch in sizes:
        target = torch.cat((target_guide * scale, remapped), dim=1)
        search = _Search(source, target, field, patch)
        for hint in hints:
            search.consider(hint)
        hints = ()
        for guess in search.neighbours():
            search.consider(guess)
        for _ in range(settings.searches):
            search.consider(search.nearby(settings.reach, generator))
        field = search.field
        remapped = remap(source_style, field, patch)
    return field, remapped


class _Search:
    """One pass at one size: the current field, its errors, and the trying of guesses.

    Features lie channels-last in padded pictures, so that a row of a patch is one run of memory.
    """

    def __init__(self, source: Tensor, target: Tensor, field: Field, patch: int) -> None:
        self.patch = patch
        self.batch, self.channels, self.height, self.width = source.shape
        self.pitch = self.width + patch - 1
        self.plane = (self.height + patch - 1) * self.pitch
        self.source, self.target = self._runs(source), self._runs(target)
        self.starts = torch.arange(self.batch, device=source.device)[:, None, None] * self.plane
        self.own = self._corner(_identity(source)).reshape(-1)
        self.rows, self.columns = field.rows.reshape(-1), field.columns.reshape(-1)
        self.corners = self._corner(field).reshape(-1)
        self.error = torch.full(self.corners.shape, math.inf, device=source.device)
        everything = torch.arange(self.corners.numel(), device=source.device)
        for ids, error in self._better(everything, self.corners):
            self.error[ids] = error

    @property
    def field(self) -> Field:
        """The field as it stands."""
        shape = (self.batch, self.height, self.width)
        return Field(self.rows.view(shape), self.columns.view(shape))

    def neighbours(self) -> Iterator[Field]:
        """Guess what a neighbour's match implies: left, right, above, below."""
        for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0)):
            rows, columns = self.field.rows, self.field.columns
            rows = torch.roll(rows, (-dy, -dx), (1, 2)) - dy
            columns = torch.roll(columns, (-dy, -dx), (1, 2)) - dx
            yield self._inside(rows, columns)

    def nearby(self, reach: int, generator: torch.Generator) -> Field:
        """Guess at random within `reach` of the current matches; all pairs share the draws."""
        draws = torch.randint(-reach, reach + 1, (2, 1, self.height, self.width), generator=generator)
        draws = draws.to(self.rows.device)
        return self._inside(self.field.rows + draws[0], self.field.columns + draws[1])

    def consider(self, guess: Field) -> None:
        """Take the guess wherever its error is strictly lower."""
        corners = self._corner(guess).reshape(-1)
        # A guess that is the current match cannot be better: most guesses of neighbours are.
        changed = (corners != self.corners).nonzero()[:, 0]
        for ids, error in self._better(changed, corners):
            self.error[ids] = error
            self.corners[ids] = _take(corners, ids)
            self.rows[ids] = _take(guess.rows.reshape(-1), ids)
            self.columns[ids] = _take(guess.columns.reshape(-1), ids)

    def _better(self, ids: Tensor, corners: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, block by block, the pixels whose guess beats the current error, and its error."""
        block = max(1, _BLOCK // (self.patch * self.channels))
        for part in torch.split(ids, block):
            found, error = self._beat(part, _take(corners, part))
            if found.numel():
                yield found, error

    def _beat(self, ids: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of the pixels `ids` whose patches at corners `source` beat their error, and the error.

        The rows of the patches are added up one by one; a pixel whose sum has reached its current error
        can't win any more and drops out. Rows far apart come first, for they say most.
        """
        target, best = _take(self.own, ids), _take(self.error, ids)
        total = torch.zeros_like(best)
        for row in _spread(self.patch):
            shift = row * self.pitch
            difference = _take(self.source, source + shift).sub_(_take(self.target, target + shift))
            total = total + difference.square_().sum(dim=1)
            alive = (total < best).nonzero()[:, 0]
            if alive.numel() < ids.numel():
                ids, source, target, best, total = (
                    _take(x, alive) for x in (ids, source, target, best, total)
                )
        return ids, total

    def _runs(self, picture: Tensor) -> Tensor:
        """Return every run of `patch` pixels in a row of the padded picture: a view with a row a run."""
        radius = self.patch // 2
        padded = F.pad(picture, (radius,) * 4, mode="replicate").permute(0, 2, 3, 1).contiguous()
        length = self.patch * self.channels
        count = padded.numel() // self.channels - self.patch + 1
        return padded.as_strided((count, length), (self.channels, 1))

    def _corner(self, field: Field) -> Tensor:
        """Return the index of the first run of the patch around each match."""
        return self.starts + field.rows * self.pitch + field.columns

    def _inside(self, rows: Tensor, columns: Tensor) -> Field:
        return Field(rows.clamp(0, self.height - 1), columns.clamp(0, self.width - 1))


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Return rows of `values`; on CPU four times faster than `values[index]`, on overlapping rows too."""
    return values.index_select(0, index)


def _spread(count: int) -> list[int]:
    """Return 0 .. count - 1, the middle first and then halving the gaps."""
    bits = max(1, (count - 1).bit_length())
    order = sorted(range(1 << bits), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))
    return [(i + count // 2) % count for i in order if i < count]


def _identity(picture: Tensor) -> Field:
    batch, _, height, width = picture.shape
    rows = torch.arange(height, device=picture.device)[None, :, None].expand(batch, height, width)
    columns = torch.arange(width, device=picture.device).expand(batch, height, width)
    return Field(rows.contiguous(), columns.contiguous())


def _at_size(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Reduce a picture by averaging areas."""
    return picture if picture.shape[-2:] == size else F.interpolate(picture, size=size, mode="area")


def _at_level(field: Field, size: tuple[int, int]) -> Field:
    """Carry a field to another level: displacements grow with the picture, each pixel takes the nearest."""
    height, width = field.rows.shape[-2:]
    like = field.rows.new_empty((field.rows.shape[0], 1, *size))
    fine = _identity(like)
    rows = (fine.rows * height).div(size[0], rounding_mode="floor")
    columns = (fine.columns * width).div(size[1], rounding_mode="floor")
    index = (rows * width + columns).flatten(1)
    down = (field.rows.flatten(1).gather(1, index).view_as(rows) - rows).double().mul(size[0] / height)
    right = (field.columns.flatten(1).gather(1, index).view_as(rows) - columns).double().mul(size[1] / width)
    return Field(
        (fine.rows + down.round().long()).clamp(0, size[0] - 1),
        (fine.columns + right.round().long()).clamp(0, size[1] - 1),
    )
