"""Clips of moving shapes go where their caption says and change in nothing else."""

import numpy as np
import pytest

from flowsynth.training.shapes import DIRECTIONS, Drawing, Shape, moving_drawing, render_clip


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_shape_moves_in_its_direction(direction):
    drawing = Drawing((Shape("circle", "red", "small", "", direction),), "white")
    clip = render_clip(drawing, 64, 8, np.random.default_rng(3))
    inside = clip[..., 2] < 150
    centres = np.array([[column.mean() for column in np.nonzero(frame)[::-1]] for frame in inside])
    steps = np.diff(centres, axis=0)
    axis = np.array(DIRECTIONS[direction])
    assert (steps @ axis > 2).all()
    assert np.abs(steps @ (1 - np.abs(axis))).max() < 0.5
    assert np.ptp(inside.sum((1, 2))) < 0.05 * inside[0].sum()
    assert np.ptp(clip[:, 0, 0], axis=0).max() == 0


def test_the_caption_names_the_direction():
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawing = moving_drawing(rng)
        assert f"moving {drawing.shapes[0].moving}" in drawing.caption(rng)


def test_a_vague_caption_keeps_colours_and_drops_words():
    rng = np.random.default_rng(1)
    drawing = Drawing((Shape("star", "red", "large", "left"),), "white")
    texts = [drawing.caption(rng, vague=True) for _ in range(60)]
    assert all("red" in text and "white" in text for text in texts)
    for word in ("star", "large", "left"):
        share = sum(word in text for text in texts) / len(texts)
        assert 0.2 < share < 0.8
