"""Which drawing noise becomes where a caption leaves it open.

From noise alone a denoiser can only predict the mean of all that a caption allows, a gray blob, unless the
noise itself tells which of it is meant. So each noise is given a drawing that it is near to, by an optimal
assignment among many of both (minibatch couplings: Pooladian et al. 2023, arXiv 2304.14770, section 3):
every drawing is still given equally often, and the first step of sampling can choose by the seed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from flowsynth.training.shapes import UNSAID

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from flowsynth.training.latents import Batch
    from flowsynth.training.pools import ShapeData
    from flowsynth.training.shapes import Drawing

_RIVALS = 64  # noises, and drawings, among which one is assigned


class Coupling:
    """Gives noise a drawing among those that a caption allows.

    Args:
        pool: Drawings of one shape that stands still.
    """

    def __init__(self, pool: ShapeData) -> None:
        self.pool = pool
        self._said = np.array([_attributes(drawing) for drawing in pool.drawings])

    def allowed(self, hint: Drawing) -> NDArray[np.int64]:
        """Returns which drawings (N,) agree with all that is said: none with two shapes or moving ones."""
        if not hint.simple:
            return np.zeros(0, np.int64)
        said = np.array(_attributes(hint))
        fits: NDArray[np.bool_] = (self._said == said) | (said == UNSAID)
        return fits.all(1).nonzero()[0]

    def choose(self, batch: Batch, noisy: Tensor, noise: Tensor, rng: np.random.Generator) -> Batch:
        """Returns a batch in which noise has chosen what its captions leave open.

        Args:
            batch: Rows; the last ones are drawings.
            noisy: Of which rows (B,) the noise hides what they start from.
            noise: Of all rows (B, C, h, w).
            rng: Source of randomness.
        """
        first = len(noise) - len(batch.drawings)
        left_open = (noisy[first:] & ~batch.determined).nonzero()[:, 0].tolist()
        chosen = {row: self.nearest(batch.hints[row], noise[first + row], rng) for row in left_open}
        return self._with(batch, {row: index for row, index in chosen.items() if index is not None})

    def nearest(self, hint: Drawing, noise: Tensor, rng: np.random.Generator) -> int | None:
        """Returns the drawing that noise (C, h, w) shall become, or None where none agrees with the hint."""
        allowed = self.allowed(hint)
        if not len(allowed):
            return None
        rivals = np.resize(rng.permutation(allowed), _RIVALS)
        noises = rng.standard_normal((_RIVALS, noise.numel()), np.float32)
        noises[0] = noise.flatten()
        # Squared distances less what no assignment changes: the squares of all noises and all drawings.
        nearness = noises @ self.pool.latents[rivals].flatten(1).float().numpy().T
        _, assigned = linear_sum_assignment(nearness, maximize=True)
        return int(rivals[assigned[0]])

    def _with(self, batch: Batch, chosen: dict[int, int]) -> Batch:
        """Returns a batch whose drawings (keys) are those of the pool (values)."""
        if not chosen:
            return batch
        rows = torch.tensor(list(chosen)) + len(batch.target) - len(batch.drawings)
        latents, pixels, lines = self.pool.rows(np.array(list(chosen.values())))
        drawings = list(batch.drawings)
        for row, index in chosen.items():
            drawings[row] = self.pool.drawings[index]
        return replace(
            batch,
            target=batch.target.index_copy(0, rows, latents),
            start=batch.start.index_copy(0, rows, latents),
            pixels=batch.pixels.index_copy(0, rows, pixels),
            tile=batch.tile.index_copy(0, rows, pixels),
            lines=batch.lines.index_copy(0, rows, lines),
            drawings=drawings,
        )


def _attributes(drawing: Drawing) -> tuple[str, ...]:
    [shape] = drawing.shapes
    return shape.name, shape.colour, shape.size, shape.side, drawing.background
