"""Which drawing noise becomes where a caption leaves it open.

From noise alone a denoiser can only predict the mean of all that a caption allows, a gray blob, unless the
noise itself tells which of it is meant. So each noise is given a drawing that it is near to, by an optimal
assignment among many of both (minibatch couplings: Pooladian et al. 2023, arXiv 2304.14770, section 3):
every drawing is still given equally often, and the first step of sampling can choose by the seed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from .shapes import UNSAID

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from .latents import Batch
    from .pools import ShapeData
    from .shapes import Drawing

_DIRECTIONS = 160  # in which drawings vary; all others together are a thousandth of it
_POWER = (
    0.5  # 1 measures distances between latents, in which backgrounds are nearly all; 0 all directions alike
)
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
        if len(hint.shapes) > 1 or hint.moves:
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
        axes, marks = self._space
        # Of other noise only what matters here is drawn: along orthogonal axes it is normal too.
        others = rng.standard_normal((_RIVALS - 1, axes.shape[1]))
        nearness = np.concatenate([noise.flatten()[None].numpy() @ axes, others]) @ marks[rivals].T
        _, assigned = linear_sum_assignment(nearness, maximize=True)
        return int(rivals[assigned[0]])

    def _with(self, batch: Batch, chosen: dict[int, int]) -> Batch:
        """Returns a batch whose drawings (keys) are those of the pool (values), and told by its noise."""
        if not chosen:
            return batch
        rows = torch.tensor(list(chosen)) + len(batch.target) - len(batch.drawings)
        latents, pixels, lines = self.pool.rows(np.array(list(chosen.values())))
        drawings, determined = list(batch.drawings), batch.determined.clone()
        for row, index in chosen.items():
            drawings[row], determined[row] = self.pool.drawings[index], True
        return replace(
            batch,
            target=batch.target.index_copy(0, rows, latents),
            start=batch.start.index_copy(0, rows, latents),
            pixels=batch.pixels.index_copy(0, rows, pixels),
            tile=batch.tile.index_copy(0, rows, pixels),
            lines=batch.lines.index_copy(0, rows, lines),
            drawings=drawings,
            determined=determined,
        )

    @cached_property
    def _space(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Orthogonal axes (C h w, q) in which drawings vary, and where each drawing lies on them (N, q)."""
        latents = self.pool.latents.flatten(1).numpy().astype(np.float32)
        centred = latents - latents.mean(0)
        variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))  # in ascending order
        axes = axes[:, -_DIRECTIONS:]
        spread = np.sqrt(np.maximum(variances[-_DIRECTIONS:], 1e-6 * variances[-1]))
        return axes, centred @ axes * spread ** (_POWER - 1)


def _attributes(drawing: Drawing) -> tuple[str, ...]:
    [shape] = drawing.shapes
    return shape.name, shape.colour, shape.size, shape.side, drawing.background
