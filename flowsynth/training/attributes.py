"""Stage 2b: the text encoder first learns to say what a caption says, by classification.

A denoiser alone teaches words slowly: under CLIP's causal mask only the last states have read the whole
caption, and in a picture's error a side or a shape weighs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from flowsynth.training.captions import STYLE_WORDS, style_caption
from flowsynth.training.shapes import COLOURS, DIRECTIONS, SHAPES, SIDES, SIZES, random_drawing
from flowsynth.training.text import tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowsynth.training.shapes import Drawing

_PLACES = (*SIDES, *(f"moving {direction}" for direction in DIRECTIONS))
# Class 0 is "not said"; a place holds a shape with a name, a colour and a size.
PLACE_CLASSES = (len(SHAPES) + 1, len(COLOURS) + 1, len(SIZES) + 1)
CLASSES = (len(STYLE_WORDS) + 1, len(COLOURS) + 1, *PLACE_CLASSES * len(_PLACES))


def drawing_labels(drawing: Drawing) -> list[int]:
    """Returns the class of each attribute of a drawing."""
    labels = [0] * len(CLASSES)
    labels[1] = _index(COLOURS, drawing.background)
    for shape in drawing.shapes:
        place = _PLACES.index(f"moving {shape.moving}" if shape.moving else shape.side)
        start = 2 + 3 * place
        labels[start : start + 3] = (
            _index(SHAPES, shape.name),
            _index(COLOURS, shape.colour),
            _index(SIZES, shape.size),
        )
    return labels


def _index(names: Any, name: str) -> int:
    return 1 + list(names).index(name)


def sample(count: int, subjects: Sequence[str], rng: np.random.Generator) -> tuple[list[str], torch.Tensor]:
    """Returns captions, four in five of drawings, and their classes (count, len(CLASSES))."""
    captions, labels = [], []
    for _ in range(count):
        if rng.random() < 0.8:
            drawing = random_drawing(rng)
            captions.append(drawing.caption(rng))
            labels.append(drawing_labels(drawing))
        else:
            style = str(rng.choice(list(STYLE_WORDS)))
            captions.append(style_caption(style, subjects[int(rng.integers(len(subjects)))], rng))
            labels.append([_index(STYLE_WORDS, style)] + [0] * (len(CLASSES) - 1))
    return captions, torch.tensor(labels)


def pretrain(
    text_encoder: Any, tokenizer: Any, subjects: Sequence[str], steps: int, seed: int, batch: int = 128
) -> float:
    """Trains the encoder with one linear head an attribute; the heads are thrown away.

    Returns:
        The share of captions whose attributes are all right, over the last steps.
    """
    heads = torch.nn.Linear(text_encoder.config.hidden_size, sum(CLASSES))
    parameters = [*text_encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(1, steps))
    right = 0.0
    for step in range(steps):
        captions, labels = sample(batch, subjects, np.random.default_rng([seed, step]))
        guesses = heads(_last_states(text_encoder, tokenizer, captions)).split(CLASSES, dim=1)
        loss = torch.stack([F.cross_entropy(g, c) for g, c in zip(guesses, labels.T, strict=True)]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        found = torch.stack([guess.argmax(1) for guess in guesses], 1)
        right = 0.98 * right + 0.02 * float((found == labels).all(1).float().mean())
    return right


def _last_states(text_encoder: Any, tokenizer: Any, captions: list[str]) -> torch.Tensor:
    """Returns the state of each caption's end token; padding beyond the longest caption is cut off."""
    tokens = tokenize(tokenizer, captions)
    ends = (tokens == tokenizer.eos_token_id).int().argmax(1)
    states = text_encoder(tokens[:, : int(ends.max()) + 1]).last_hidden_state
    return torch.as_tensor(states[torch.arange(len(captions)), ends])
