"""The two costly steps of patch match in torch: a pass of the search, and carrying along a field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.patchmatch.field import Field, identity

__all__ = ["improve", "remap", "spread"]

#: Floats of one gathered block: small enough to stay in a core's cache between the operations on it.
_BLOCK = 1 << 18


def improve(
    source: Tensor, target: Tensor, field: Field, patch: int, hints: Sequence[Field], draws: Tensor
) -> Field:
    """Run one pass of the search: try hints, then neighbours' matches, then random guesses.

    The error of a match is the sum of squared differences of the patches, borders repeated. A guess is taken
    only where its error is strictly lower.

    Args:
        source: `(B, C, H, W)` float32, the features to be matched.
        target: `(B, C, H, W)`.
        field: from target to source.
        patch: side of the patches, pixels, odd.
        hints: fields to be tried first.
        draws: `(N, 2, H, W)` int64, by how many rows and columns the N random guesses lie off the match.

    Returns:
        The better field.
    """
    search = _Search(source, target, field, patch)
    for hint in hints:
        search.consider(hint)
    for guess in search.neighbours():
        search.consider(guess)
    for draw in draws:
        search.consider(search.nearby(draw))
    return search.field


def remap(picture: Tensor, field: Field, patch: int) -> Tensor:
    """Carry a picture `(B, D, H, W)` along a field, as `search.remap` says."""
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
        self.own = self._corner(identity(source)).reshape(-1)
        # Copies: what is better is written into them.
        self.rows, self.columns = field.rows.flatten().clone(), field.columns.flatten().clone()
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

    def nearby(self, draw: Tensor) -> Field:
        """Guess off the current matches by `draw`, `(2, H, W)`; all pairs share it."""
        return self._inside(self.field.rows + draw[0], self.field.columns + draw[1])

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
        for row in spread(self.patch):
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


def spread(count: int) -> list[int]:
    """Return 0 .. count - 1, the middle first and then halving the gaps."""
    bits = max(1, (count - 1).bit_length())
    order = sorted(range(1 << bits), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))
    return [(i + count // 2) % count for i in order if i < count]
