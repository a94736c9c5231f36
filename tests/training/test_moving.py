"""Clips of moving shapes go where their caption says and change in nothing else."""

import numpy as np
import pytest
import torch

from flowsynth.training.pocket import Training
from flowsynth.training.shapes import (
    CONTROLLED,
    DIRECTIONS,
    OPEN,
    Drawing,
    Shape,
    moving_drawing,
    render_clip,
)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_shape_moves_in_its_direction(direction: str) -> None:
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


def test_the_caption_names_the_direction() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawing = moving_drawing(rng)
        assert f"moving {drawing.shapes[0].moving}" in drawing.caption(rng)


def test_a_vague_caption_keeps_colours_and_drops_words() -> None:
    rng = np.random.default_rng(1)
    drawing = Drawing((Shape("star", "red", "large", "left"),), "white")
    texts = [drawing.vague(rng, CONTROLLED).caption(rng) for _ in range(60)]
    assert all("red" in text and "white" in text for text in texts)
    assert not any("center" in text for text in texts)  # left out isn't the same as in the middle
    for word in ("star", "large", "left"):
        share = sum(word in text for text in texts) / len(texts)
        assert 0.2 < share < 0.8


def test_an_open_caption_drops_colours_too() -> None:
    rng = np.random.default_rng(1)
    drawing = Drawing((Shape("star", "red", "large", "left"),), "white")
    texts = [drawing.vague(rng, OPEN).caption(rng) for _ in range(80)]
    for word in ("star", "red", "large", "left", "white background"):
        share = sum(word in text for text in texts) / len(texts)
        assert 0.25 < share < 0.75, word


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("shares", "common"), [((1.0, 0.0), (1, 1)), ((0.0, 1.0), (0, 1)), ((0.0, 0.0), (0, 0))]
)
def test_frames_have_all_a_part_or_none_of_their_noise_in_common(
    trained: Training, shares: tuple[float, float], common: tuple[int, int]
) -> None:
    stage = trained.motion_trainer().stage
    names = ("shared_noise_share", "mixed_noise_share")
    stage.config = stage.config.model_copy(update=dict(zip(names, shares, strict=True)))
    torch.manual_seed(0)
    noise = stage._noise(torch.zeros(6, 8, 4, 16, 16), np.random.default_rng(0))
    assert noise.var().item() == pytest.approx(1, abs=0.05)
    first, last = noise[:, 0].flatten(1), noise[:, -1].flatten(1)
    found = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(first, last, strict=True)]
    assert min(found) > common[0] - 0.15
    assert max(found) < common[1] + 0.15
    assert max(found) - min(found) > 0.3 or common[0] == common[1]


def test_changes_between_frames_count_on_their_own(trained: Training) -> None:
    stage = trained.motion_trainer().stage
    losses = []
    for weight in (0.0, 2.0):
        stage.config = stage.config.model_copy(update={"change_weight": weight})
        torch.manual_seed(0)
        loss, figures = stage.loss(np.random.default_rng(0))
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(figures["error"])
    assert losses[1] == pytest.approx(figures["error"] + 2 * figures["changes"])
    assert figures["changes"] > 0


@pytest.mark.sample(1)
@pytest.mark.parametrize("still", [0.0, 1.0])
def test_clips_in_which_nothing_moves_come_as_often_as_asked(trained: Training, still: float) -> None:
    stage = trained.motion_trainer().stage
    stage.config = stage.config.model_copy(update={"still_share": still})
    rng = np.random.default_rng(2)
    clips = [stage._moving(rng) for _ in range(24)]
    moving = ["moving" in caption for _, _, caption in clips]
    moved = [bool((frames[0] != frames[-1]).any()) for frames, _, _ in clips]
    assert moved == moving
    assert np.mean(moving) == 1 if not still else 0 < np.mean(moving) < 0.5  # some of all drawings move


def test_errors_on_shapes_count_on_their_own(trained: Training) -> None:
    stage = trained.motion_trainer().stage
    losses = []
    for weight in (0.0, 2.0):
        stage.config = stage.config.model_copy(update={"shapes_share": 1.0, "shape_weight": weight})
        torch.manual_seed(0)
        losses.append(stage.loss(np.random.default_rng(0)))
    assert losses[0][1]["shapes"] > 0
    assert losses[0][0] < losses[1][0]
    stage.config = stage.config.model_copy(update={"shapes_share": 0.0})
    assert stage.loss(np.random.default_rng(0))[1]["shapes"] == 0
