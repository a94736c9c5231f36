"""The text encoder learns what captions say before it guides a denoiser."""

import numpy as np
import pytest
import torch

from flowsynth.training.attributes import CLASSES, drawing_labels, pretrain, sample
from flowsynth.training.captions import vocabulary
from flowsynth.training.shapes import COLOURS, SHAPES, Drawing, Shape
from flowsynth.training.text import build_text_encoder, build_tokenizer


def test_labels_say_what_a_drawing_shows() -> None:
    drawing = Drawing((Shape("star", "red", "small", "left"),), "blue")
    labels = drawing_labels(drawing)
    assert len(labels) == len(CLASSES)
    assert labels[1] == 1 + list(COLOURS).index("blue")
    assert sorted(labels, reverse=True)[:1] != [0]
    assert (1 + SHAPES.index("star")) in labels
    moving = Drawing((Shape("star", "red", "small", "", "left"),), "blue")
    assert drawing_labels(moving) != labels


def test_every_label_is_within_its_classes() -> None:
    _, labels = sample(300, ["a castle"], np.random.default_rng(0))
    assert (labels >= 0).all()
    assert (labels < torch.tensor(CLASSES)).all()


@pytest.mark.slow
def test_a_little_training_already_reads_some_captions() -> None:
    torch.manual_seed(0)
    tokenizer = build_tokenizer(vocabulary({}))
    encoder = build_text_encoder(tokenizer, 48, 1, 4)
    right = pretrain(encoder, tokenizer, ["a scene"], 100, seed=0, batch=64)
    assert right > 0.02  # every attribute at once: by chance about one in ten thousand
