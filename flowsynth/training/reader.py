"""Stage 2c: a small network that reads from latents what a drawing shows, to teach the denoiser clarity.

In the squared error of a picture an outline weighs little, and the slight variations of place and size that
no caption names hide it further. What a reader says of the predicted picture depends on the outline and not
on them, so its loss, beside the squared error, teaches the words of shapes in far fewer samples (a perceptual
loss: Johnson et al., arXiv 1603.08155; for diffusion, reward feedback: Xu et al., arXiv 2304.05977).
The judge of the figures is another: arithmetic on decoded pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from flowsynth.training.attributes import CLASSES, PLACE_CLASSES, drawing_labels
from flowsynth.training.networks import alphas_sigmas
from flowsynth.training.shapes import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from flowsynth.training.pools import ShapeData
    from flowsynth.training.shapes import Drawing

# The background and what stands at each side; a style or a movement can't be read from a drawing.
_HEADS = slice(1, 2 + len(PLACE_CLASSES) * len(SIDES))
_SIZES = slice(len(PLACE_CLASSES), None, len(PLACE_CLASSES))  # of the heads: each place's last
_UNKNOWN = -100  # the class that cross entropy passes over
_NOISIEST = 700  # timesteps: with noise a reader can't rely on faint patterns that no eye would see


class Reader(nn.Module):
    """Says the background, what stands at each side, and what the only shape is, from latents."""

    def __init__(self, channels: int, side: int, width: int = 48) -> None:
        super().__init__()
        self.classes = CLASSES[_HEADS] + PLACE_CLASSES
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * width * (side // 4) ** 2, 4 * width),
            nn.SiLU(),
            nn.Linear(4 * width, sum(self.classes)),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Returns scores (B, sum of classes) for latents (B, C, side, side)."""
        scores: Tensor = self.body(latents)
        return scores

    def loss(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Returns each row's cross entropy (B,), summed over all that is read.

        Args:
            latents: (B, C, side, side).
            labels: As of `reading_labels`.
        """
        scores = self(latents).float().split(self.classes, dim=1)
        entropies = [F.cross_entropy(s, c, reduction="none") for s, c in zip(scores, labels.T, strict=True)]
        return torch.stack(entropies).sum(0)


def reading_labels(drawings: Sequence[Drawing]) -> Tensor:
    """Returns the classes that a reader should find (N, heads).

    Where a moving shape is, nobody can say; and which of two shapes is the only one.
    """
    rows = []
    for drawing in drawings:
        labels = drawing_labels(drawing)
        ground, *sides = labels[_HEADS]
        if drawing.moves:
            sides = [_UNKNOWN] * len(sides)
        places = np.reshape(labels[2:], (-1, len(PLACE_CLASSES)))
        only = places.max(0) if len(drawing.shapes) == 1 else [_UNKNOWN] * len(PLACE_CLASSES)
        rows.append([ground, *sides, *only])
    return torch.tensor(np.array(rows))


def train_reader(shapes: ShapeData, steps: int, seed: int, batch: int = 128) -> tuple[Reader, float]:
    """Trains a reader on a pool of drawings under noise.

    Half of what it sees are shapes of any size: else it would know a small star by its little area, and take
    the blob that a denoiser draws first for one.

    Returns:
        The reader, without gradients for its weights, and the share of drawings, without noise, that it read
        without a fault over the last steps.
    """
    stretched = shapes.stretched(max(batch, len(shapes.drawings) // 4))
    labels, unsized = reading_labels(shapes.drawings), reading_labels(stretched.drawings)
    unsized[:, _SIZES] = _UNKNOWN
    alphas, sigmas = alphas_sigmas()
    right = 0.0
    # A denoiser's step may be under way around this: autocast's copies of weights would grow stale.
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        torch.manual_seed(seed)
        reader = Reader(shapes.latents.shape[1], shapes.side)
        optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(1, steps))
        for step in range(steps):
            rng = np.random.default_rng([seed, step])
            rows, others = (
                torch.from_numpy(rng.integers(len(pool), size=batch // 2)) for pool in (labels, unsized)
            )
            times = torch.from_numpy((_NOISIEST * rng.random(batch) ** 2).astype(np.int64))
            clean = torch.cat([shapes.latents[rows].float(), stretched.latents[others].float()])
            wanted = torch.cat([labels[rows], unsized[others]])
            level = (batch, 1, 1, 1)
            noisy = alphas[times].view(level) * clean + sigmas[times].view(level) * torch.randn_like(clean)
            loss = reader.loss(noisy, wanted).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 20 == 0:
                right = 0.7 * right + 0.3 * read_right(reader, clean, wanted)
    return reader.requires_grad_(False), right


@torch.no_grad()
def read_right(reader: Reader, latents: Tensor, labels: Tensor) -> float:
    """Returns the share of latents (B, C, side, side) of which everything is read as labelled."""
    found = [scores.argmax(1) for scores in reader(latents).split(reader.classes, dim=1)]
    right = (torch.stack(found, 1) == labels) | (labels == _UNKNOWN)
    return float(right.all(1).float().mean())
