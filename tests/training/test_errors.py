"""Errors are weighed where shapes and their outlines are."""

import numpy as np
import pytest
import torch

from flowsynth.functional.picture.edges import canny
from flowsynth.training.errors import beside_lines, mean_where, on_shapes
from flowsynth.training.pocket import Training
from flowsynth.training.shapes import DRAWN_EDGES, SHAPES, Drawing, Shape
from flowsynth.training.styled import to_pixels


def drawn(name: str, size: str) -> torch.Tensor:
    drawing = Drawing((Shape(name, "cyan", size, "left"),), "gray")
    return to_pixels(drawing.render(64, np.random.default_rng(0))[None])


def test_a_mean_is_over_what_is_marked() -> None:
    errors, where = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    errors[0, :, 1, :2] = torch.tensor([2.0, 4.0])
    where[0, 0, 1, :2] = 1
    assert mean_where(errors, where).tolist() == [3, 0]


@pytest.mark.parametrize("name", SHAPES)
def test_marks_lie_where_the_shape_is(name: str) -> None:
    small, large = (on_shapes(drawn(name, size))[0, 0] for size in ("small", "large"))
    assert small.shape == (16, 16)
    assert set(small.unique().tolist()) == {0, 1}
    assert (large >= small).all()
    assert 2 * small.sum() < large.sum()
    assert not small[:, 10:].any()


@pytest.mark.parametrize("size", ["small", "large"])
def test_outlines_are_marked_and_flat_ground_is_not(size: str) -> None:
    pixels = drawn("square", size)
    beside = beside_lines(canny(pixels, **DRAWN_EDGES).expand(-1, 3, -1, -1))[0, 0]
    on = on_shapes(pixels)[0, 0]
    assert beside[:, 13:].sum() == 0
    rim = on.clone()
    rim[1:-1, 1:-1] = on[1:-1, 1:-1] * (
        4 * on[1:-1, 1:-1] > on[2:, 1:-1] + on[:-2, 1:-1] + on[1:-1, 2:] + on[1:-1, :-2]
    )
    assert (beside >= rim).all()


def test_the_denoiser_weighs_outlines_of_what_is_told(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    losses = []
    for changes in ({}, {"outline_weight": 1.0}, {"outline_weight": 1.0, "caption_dropout": 1.0}):
        stage.config = stage.config.model_copy(update={"shapes_share": 0.8, **changes})
        torch.manual_seed(1)
        losses.append(stage.loss(np.random.default_rng(1)))
    assert "rims" not in losses[0][1]
    assert losses[0][0] < losses[1][0]
    assert losses[1][1]["rims"] > 0 == losses[2][1]["rims"]


def test_photos_come_in_the_versions_that_are_asked_for(trained: Training) -> None:
    styles = trained.denoiser_trainer().stage.styles
    photos, sketches = (
        styles.batch(12, 8, np.random.default_rng(0), 0.0, 1.0, (version,)).pixels
        for version in ("photo", "pencil_sketch")
    )
    assert 3 * sketches.std(1).mean() < photos.std(1).mean()  # pencil is nearly gray
