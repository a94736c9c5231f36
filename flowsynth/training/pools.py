"""Drawings to learn from, with their latents and lines."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from flowsynth.functional.picture.edges import canny
from flowsynth.training.latents import Batch, encode
from flowsynth.training.shapes import CONTROLLED, DRAWN_EDGES, OPEN, SHAPES, every_drawing, random_drawing
from flowsynth.training.styled import to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusers import AutoencoderKL
    from numpy.typing import NDArray
    from torch import Tensor

    from flowsynth.training.pictures import Picture
    from flowsynth.training.shapes import Drawing

_ANY_SIZE = (0.55, 1.2)
_SIMPLE_SHARE = 0.8
_LEFT_OUT = {"full": (), "vague": CONTROLLED, "open": OPEN}


class PoolConfig(BaseModel):
    """Drawings to learn from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = 4000
    pairs_share: float = 0.3  # drawings of two shapes
    names: tuple[str, ...] = SHAPES  # those that are harder to learn may be said more than once
    stretch: tuple[float, float] = (1.0, 1.0)  # least and most factor of the shapes' radius


class ShapeData:
    """A pool of drawings with latents and lines, captioned anew each time.

    Args:
        vae: Encodes them.
        config: Which drawings; all that follow are random.
        side: Of the latents.
        seed: Of all that is random.
        drawings: These ones instead.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        config: PoolConfig,
        side: int,
        seed: int,
        drawings: Sequence[Drawing] | None = None,
    ) -> None:
        self.vae, self.config, self.side, self.seed = vae, config, side, seed
        self.rng = np.random.default_rng(seed)
        self.drawings = drawings or [
            random_drawing(self.rng, config.pairs_share, config.names) for _ in range(config.count)
        ]

    @cached_property
    def pictures(self) -> Picture:
        """uint8 (N, 4 side, 4 side, 3)."""
        stretches = self.rng.uniform(*self.config.stretch, len(self.drawings))
        return np.stack(
            [
                drawing.render(4 * self.side, self.rng, stretch=stretch)
                for drawing, stretch in zip(self.drawings, stretches, strict=True)
            ]
        )

    @cached_property
    def latents(self) -> Tensor:
        """(N, C, side, side) in float16."""
        chunks = range(0, len(self.drawings), 64)
        return torch.cat([encode(self.vae, self.pictures[i : i + 64]) for i in chunks]).half()

    @cached_property
    def lines(self) -> Tensor:
        """uint8 (N, 1, 4 side, 4 side), 0 or 1."""
        chunks = range(0, len(self.pictures), 64)
        parts = (to_pixels(self.pictures[i : i + 64]) for i in chunks)
        return torch.cat([canny(part, **DRAWN_EDGES).to(torch.uint8) for part in parts])

    def stretched(self, count: int) -> ShapeData:
        """Returns another pool of so many drawings: their shapes are of any size, whatever captions say."""
        config = self.config.model_copy(update={"count": count, "stretch": _ANY_SIZE})
        return ShapeData(self.vae, config, self.side, self.seed + 1)

    def still(self, count: int) -> ShapeData:
        """Returns a pool of at most so many different drawings of one shape that stands still."""
        every = every_drawing()
        chosen = np.random.default_rng(self.seed).permutation(len(every))[:count]
        drawings = [every[i] for i in chosen]
        return ShapeData(self.vae, self.config, self.side, self.seed + 2, drawings)

    def batch(self, kinds: Sequence[str], rng: np.random.Generator) -> Batch:
        """Returns random drawings, one for each kind of caption: a key of `_LEFT_OUT` or "word".

        Most captions that leave colours open are of one shape that stands still: of these noise can choose.
        """
        chosen = rng.integers(len(self.drawings), size=len(kinds))
        simple = (np.array(kinds) == "open") & (rng.random(len(kinds)) < _SIMPLE_SHARE)
        chosen = np.where(simple, rng.choice(self._simple, len(kinds)), chosen)
        drawings = [self.drawings[i] for i in chosen]
        hints, captions = [], []
        for drawing, kind in zip(drawings, kinds, strict=True):
            word = kind == "word"
            hints.append(drawing.hint(rng) if word else drawing.vague(rng, _LEFT_OUT[kind]))
            captions.append(hints[-1].word() if word else hints[-1].caption(rng))
        latents, pixels, lines = self.rows(chosen)
        return Batch(latents, latents, pixels, pixels, lines, captions, drawings, hints)

    @cached_property
    def _simple(self) -> NDArray[np.int64]:
        """Which drawings are of one shape that stands still; all, where none is."""
        simple = [drawing.simple for drawing in self.drawings]
        return np.flatnonzero(simple) if any(simple) else np.arange(len(simple))

    def rows(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns latents (N, C, h, w), pixels (N, 3, 4h, 4w) in [0, 1] and lines, same shape, of some."""
        lines = self.lines[chosen].float().expand(-1, 3, -1, -1)
        return self.latents[chosen].float(), to_pixels(self.pictures[chosen]), lines
