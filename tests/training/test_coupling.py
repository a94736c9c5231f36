"""Noise chooses what a caption leaves open: the same thing each time, and everything equally often."""

from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from flowsynth.training.coupling import Coupling
from flowsynth.training.latents import Batch
from flowsynth.training.pocket import Training
from flowsynth.training.pools import PoolConfig, ShapeData
from flowsynth.training.shapes import COLOURS, UNSAID, Drawing, Shape, every_drawing

POCKET = Path(str(files("flowsynth") / "assets" / "pocket"))
CIRCLE = Drawing((Shape("circle", UNSAID, "large", ""),), "white")


@pytest.fixture(scope="module")
def coupling() -> Coupling:
    vae = AutoencoderKL.from_pretrained(POCKET / "vae", torch_dtype=torch.float32).eval()
    names = ("circle", "star")
    shown = [(d, d.shapes[0]) for d in every_drawing() if d.shapes[0].name in names]
    central = [drawing for drawing, shape in shown if (shape.size, shape.side) == ("large", "")]
    return Coupling(ShapeData(vae, PoolConfig(), 16, 0, central))


def noises(count: int) -> torch.Tensor:
    return torch.randn(count, 8, 16, 16, generator=torch.Generator().manual_seed(0))


def chosen(coupling: Coupling, hint: Drawing, noise: torch.Tensor, rng: np.random.Generator) -> int:
    index = coupling.nearest(hint, noise, rng)
    assert index is not None
    return index


def colours(coupling: Coupling, noise: torch.Tensor, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    found = [chosen(coupling, CIRCLE, row, rng) for row in noise]
    return [coupling.pool.drawings[index].shapes[0].colour for index in found]


def test_every_still_drawing_of_one_shape_is_there_once() -> None:
    drawings = every_drawing()
    assert len(set(drawings)) == len(drawings) == 4 * 3 * 5 * 12 * 11
    assert all(drawing.shapes[0].colour != drawing.background for drawing in drawings)


def test_what_is_said_stays(coupling: Coupling) -> None:
    hint = Drawing((Shape("star", "red", UNSAID, UNSAID),), UNSAID)
    allowed = [coupling.pool.drawings[index] for index in coupling.allowed(hint)]
    assert len(allowed) == 11
    assert all((d.shapes[0].name, d.shapes[0].colour) == ("star", "red") for d in allowed)


@pytest.mark.parametrize(
    "shapes",
    [
        (Shape("star", "red", "small", "left"), Shape("circle", UNSAID, "small", "right")),
        (Shape("star", UNSAID, "small", "", "left"),),
    ],
)
def test_nothing_is_chosen_for_pairs_and_for_what_moves(
    coupling: Coupling, shapes: tuple[Shape, ...]
) -> None:
    hint = Drawing(shapes, UNSAID)
    assert not len(coupling.allowed(hint))
    assert coupling.nearest(hint, noises(1)[0], np.random.default_rng(0)) is None


@pytest.mark.slow
def test_everything_allowed_is_chosen_about_equally_often(coupling: Coupling) -> None:
    counts = Counter(colours(coupling, noises(330)))
    assert set(counts) == set(COLOURS) - {"white"}
    assert min(counts.values()) > 0.5 * 30
    assert max(counts.values()) < 1.7 * 30


@pytest.mark.slow
def test_the_same_noise_chooses_the_same_against_other_rivals(coupling: Coupling) -> None:
    noise = noises(100)
    first, second = colours(coupling, noise, 1), colours(coupling, noise, 2)
    same = np.mean([one == other for one, other in zip(first, second, strict=True)])
    assert same > 0.6  # by chance one in eleven


def test_noise_becomes_what_it_looks_like(coupling: Coupling) -> None:
    pool, rng = coupling.pool, np.random.default_rng(0)
    wanted = rng.permutation(len(pool.drawings))[:40]
    anything = Drawing((Shape(UNSAID, UNSAID, UNSAID, UNSAID),), UNSAID)
    centre = pool.latents.float().mean(0)
    found = [chosen(coupling, anything, 3 * (pool.latents[i] - centre), rng) for i in wanted]
    grounds = [[COLOURS[pool.drawings[i].background] for i in rows] for rows in (wanted, found)]
    near = np.subtract(grounds[0], grounds[1])
    assert np.median(np.abs(near).max(1)) < 60  # levels


def test_rows_with_less_noise_or_a_told_drawing_keep_theirs(coupling: Coupling) -> None:
    latents, pixels = torch.zeros(4, 8, 16, 16), torch.zeros(4, 3, 64, 64)
    drawn = replace(CIRCLE, shapes=(replace(CIRCLE.shapes[0], colour="red"),))
    batch = Batch(
        latents,
        latents,
        pixels,
        pixels,
        pixels,
        ["a photo", *["a large circle on a white background"] * 3],
        [drawn] * 3,
        [CIRCLE] * 3,
        torch.tensor([False, False, True]),
    )
    noisy = torch.tensor([True, True, False, True])
    made = coupling.choose(batch, noisy, noises(4), np.random.default_rng(0))
    changed = (made.target != batch.target).flatten(1).any(1)
    assert changed.tolist() == [False, True, False, False]
    assert torch.equal(made.start, made.target)
    assert (made.pixels != 0).flatten(1).any(1).tolist() == changed.tolist()
    chosen, *others = made.drawings
    assert others == [drawn] * 2
    assert (chosen.background, chosen.shapes[0].name) == ("white", "circle")
    index = coupling.pool.drawings.index(chosen)
    assert torch.equal(made.target[1], coupling.pool.latents[index].float())


def test_the_denoiser_lets_noise_choose_for_drawings_that_start_blank(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    stage.coupling = Coupling(stage.shapes.still(200))
    changes = {"shape_free_share": 1.0, "open_share": 1.0, "chosen_blank_share": 0.7}
    stage.config = stage.config.model_copy(update=changes)
    batch = stage._batch(5, np.zeros(6, bool), np.random.default_rng(0))
    shares = stage._blank_share(batch, torch.zeros(2, 6))
    fits = [len(stage.coupling.allowed(hint)) > 0 for hint in batch.hints]
    assert shares[1:].tolist() == [0.7 if fit else 0.0 for fit in fits]
    assert shares[0] == stage.config.blank_share
    with torch.autocast("cpu", torch.bfloat16):  # as in trained
        loss, _ = stage.loss(np.random.default_rng(1))
    assert torch.isfinite(loss)


def test_most_open_captions_are_of_what_noise_can_choose(trained: Training) -> None:
    pool = trained.denoiser_trainer().stage.shapes
    rng = np.random.default_rng(0)
    shares = {}
    for kind in ("full", "open"):
        drawn = [d for _ in range(20) for d in pool.batch([kind] * 10, rng).drawings]
        shares[kind] = np.mean([len(d.shapes) == 1 and not d.moves for d in drawn])
    every = np.mean([len(d.shapes) == 1 and not d.moves for d in pool.drawings])
    assert abs(shares["full"] - every) < 0.12
    assert abs(shares["open"] - (0.8 + 0.2 * every)) < 0.1
