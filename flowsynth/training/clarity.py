"""What is added to the squared error of latents, which hardly sees a small outline and leaves out grain.

Outlines weigh on their own, a reader says what a drawing shows, and LPIPS looks at decoded pictures. All of
it is asked of what caption and controls tell: of the rest the mean is right, and no picture of it is clear.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict

from flowsynth.training.errors import beside_lines, mean_where
from flowsynth.training.perception import Perception
from flowsynth.training.reader import reading_labels, train_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from flowsynth.training.latents import Batch, StyleData
    from flowsynth.training.pools import ShapeData
    from flowsynth.training.reader import Reader

log = logging.getLogger(__name__)


class ClarityConfig(BaseModel):
    """What is asked beside the squared error, and how much it weighs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moving_told_step: int = 750  # where a moving shape is, is told below it only
    open_told_step: int = 800  # what captions leave open, the picture below its noise tells
    outline_weight: float = 0.0  # of the squared error along outlines, large or small
    reader_steps: int = 1500
    reader_life: int = 0  # steps until another reader is trained, on average; 0: the first one stays
    reading_weight: float = 0.02  # of the reader's loss
    perceptual_weight: float = 0.0  # of the restyled photos' LPIPS; at 0 its network isn't asked for
    drawing_looks: int = 0  # drawings a batch that are looked at like that too
    drawing_looks_weight: float = 4.0  # of their LPIPS


@dataclass(frozen=True)
class Guess:
    """What a denoiser made of a batch, and what it was told.

    Attributes:
        batch: The batch; its last rows are the drawings.
        latents: Predicted latents (B, C, h, w).
        squares: Squared errors of v, same shape.
        times: Timesteps (B,).
        scales: Of the tile and line controls (2, B).
        captions: One text for each row, "" where it was dropped.
    """

    batch: Batch
    latents: Tensor
    squares: Tensor
    times: Tensor
    scales: Tensor
    captions: Sequence[str]

    @property
    def photos(self) -> int:
        """How many rows come before the drawings."""
        return len(self.captions) - len(self.batch.drawings)

    def restyled(self) -> Tensor:
        """Marks the photos (B,) whose caption and tile tell the picture, where the tile isn't it already."""
        marked = (self.scales[0] > 0) & said(self.captions)
        marked[self.photos :] = False
        return marked & (self.batch.tile != self.batch.pixels).flatten(1).any(1)

    def told(self, config: ClarityConfig) -> Tensor:
        """Marks the drawings (drawings,) of which it is said what they show and where."""
        # Under much noise a moving shape may be anywhere, and its prediction is rightly a smear.
        moving = torch.tensor([drawing.moves for drawing in self.batch.drawings], dtype=torch.bool)
        times = self.times[self.photos :]
        shown = self.batch.determined | (times <= config.open_told_step)
        return shown & said(self.captions)[self.photos :] & ~(moving & (times > config.moving_told_step))

    def by_caption(self, told: Tensor, most: int, rng: np.random.Generator) -> Tensor:
        """Marks in the batch (B,) at most so many of the told drawings that have no control."""
        free = told & (self.scales[:, self.photos :] == 0).all(0)
        rows = self.photos + free.nonzero()[:, 0].numpy()
        marked = torch.zeros(len(self.captions), dtype=torch.bool)
        marked[torch.from_numpy(rng.permutation(rows)[:most])] = True
        return marked


class Clarity:
    """Measures what a guess lacks; its networks are made when they are first asked for.

    Args:
        styles: Photos; their autoencoder decodes what is looked at, their cache keeps LPIPS's network.
        shapes: The drawings that readers learn from.
    """

    def __init__(self, styles: StyleData, shapes: ShapeData) -> None:
        self.styles, self.shapes = styles, shapes
        self._reader: Reader | None = None

    def loss(
        self, config: ClarityConfig, guess: Guess, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Returns what is added to a batch's mean squared error, and the figures of its parts."""
        terms: dict[str, tuple[float, Tensor]] = {}
        told, rows = guess.told(config), slice(guess.photos, None)
        if config.outline_weight and len(told):
            rims = mean_where(guess.squares[rows], beside_lines(guess.batch.lines[rows]))
            terms["rims"] = config.outline_weight, rims * told
        if config.reading_weight and len(told):
            reader = self.reader(config, rng)
            readings = reader.loss(guess.latents[rows], reading_labels(guess.batch.drawings))
            terms["reading"] = config.reading_weight, readings * told
        looks: dict[str, tuple[float, Tensor]] = {}
        if config.perceptual_weight:
            looks["looks"] = config.perceptual_weight, guess.restyled()
        if config.drawing_looks:
            looks["seen"] = config.drawing_looks_weight, guess.by_caption(told, config.drawing_looks, rng)
        terms |= self._looks(
            guess, {name: (w, marked) for name, (w, marked) in looks.items() if marked.any()}
        )
        parts = [weight * values.sum() / len(guess.captions) for weight, values in terms.values()]
        figures = {name: float(values.detach().mean()) for name, (_, values) in terms.items()}
        return torch.stack([torch.zeros(()), *parts]).sum(), figures

    def reader(self, config: ClarityConfig, rng: np.random.Generator) -> Reader:
        """Says what predicted latents of drawings show; trained at first, and now and then again.

        What one reader takes for a star another need not: the weak spots of one that stays are learned.
        """
        if self._reader is None or (config.reader_life and rng.random() < 1 / config.reader_life):
            seed = int(rng.integers(2**31)) if config.reader_life else 0
            self._reader, right = train_reader(self.shapes, config.reader_steps, seed)
            log.info("drawings read without a fault: %.0f %%", 100 * right)
        return self._reader

    @cached_property
    def perception(self) -> Perception:
        """Looks at predicted latents."""
        assert self.styles.cache is not None
        return Perception(self.styles.vae, self.styles.cache)

    def _looks(self, guess: Guess, marks: dict[str, tuple[float, Tensor]]) -> dict[str, tuple[float, Tensor]]:
        """Returns LPIPS of the rows that each term marks, looked at in one pass."""
        if not marks:
            return {}
        either = torch.stack([marked for _, marked in marks.values()]).any(0)
        values = self.perception.loss(guess.latents[either], guess.batch.pixels[either])
        return {name: (weight, values[marked[either]]) for name, (weight, marked) in marks.items()}


def said(captions: Sequence[str]) -> Tensor:
    """Marks the captions (B,) that weren't dropped."""
    return torch.tensor([bool(caption) for caption in captions])
