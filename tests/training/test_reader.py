"""What a drawing shows can be read from its latents, and a denoiser hears of it where its caption told it."""

import itertools
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from flowsynth.training.denoiser import DenoiserStage
from flowsynth.training.judge import Seen, judge
from flowsynth.training.pocket import Training
from flowsynth.training.pools import PoolConfig, ShapeData
from flowsynth.training.reader import Reader, read_right, reading_labels, train_reader
from flowsynth.training.shapes import COLOURS, SHAPES, SIZES, Drawing, Shape

POCKET = Path(str(files("flowsynth") / "assets" / "pocket"))
UNKNOWN = -100
PLACES = 5


def classes(drawing: Drawing) -> tuple[int, list[list[int]]]:
    ground, *rest = reading_labels([drawing])[0].tolist()
    return ground, np.reshape(rest, (PLACES + 1, 3)).tolist()


def described(shape: Shape) -> list[int]:
    names = ((SHAPES, shape.name), (tuple(COLOURS), shape.colour), (tuple(SIZES), shape.size))
    return [1 + options.index(name) for options, name in names]


def test_a_still_shape_is_known_at_its_side_and_as_the_only_one() -> None:
    star = Shape("star", "red", "small", "right")
    ground, places = classes(Drawing((star,), "blue"))
    assert ground == 1 + list(COLOURS).index("blue")
    assert places == [[0, 0, 0], described(star), *[[0, 0, 0]] * 3, described(star)]


def test_of_two_shapes_none_is_the_only_one() -> None:
    pair = (Shape("star", "red", "small", "left"), Shape("circle", "pink", "small", "right"))
    _, places = classes(Drawing(pair, "blue"))
    assert places[:2] == [described(shape) for shape in pair]
    assert places[-1] == [UNKNOWN] * 3


def test_where_a_moving_shape_is_stays_unknown() -> None:
    shape = Shape("square", "red", "large", "", "left")
    ground, places = classes(Drawing((shape,), "blue"))
    assert ground == 1 + list(COLOURS).index("blue")
    assert places == [*[[UNKNOWN] * 3] * PLACES, described(shape)]


@pytest.fixture(scope="module")
def drawings() -> ShapeData:
    vae = AutoencoderKL.from_pretrained(POCKET / "vae", torch_dtype=torch.float32).eval()
    return ShapeData(vae, PoolConfig(count=160), 16, seed=0)


@pytest.fixture(scope="module")
def reader(drawings: ShapeData) -> Reader:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    reader, right = train_reader(drawings, 180, seed=0, batch=64)
    assert torch.equal(state, torch.get_rng_state())  # a step of the denoiser is the same with and without
    assert 0 < right <= 1
    return reader


@pytest.mark.slow
def test_a_little_training_reads_latents(reader: Reader, drawings: ShapeData) -> None:
    labels, latents = reading_labels(drawings.drawings), drawings.latents.float()
    assert read_right(reader, latents, labels) > 0.02  # everything at once: by chance one in thousands
    assert 2 * reader.loss(latents, labels).mean() < reader.loss(latents, labels.roll(1, 0)).mean()


def alone(pool: ShapeData) -> list[tuple[Shape, Seen | None]]:
    drawn = zip(pool.drawings, pool.pictures, strict=True)
    return [(d.shapes[0], judge(p).first) for d, p in drawn if len(d.shapes) == 1 and not d.moves]


def test_half_of_what_it_learns_from_is_of_any_size(drawings: ShapeData) -> None:
    usual, stretched = (
        np.array([seen.radius / SIZES[shape.size] for shape, seen in found if seen])
        for found in (alone(drawings), alone(drawings.stretched(80)))
    )
    assert np.std(usual) < 0.06
    assert stretched.min() < 0.75
    assert stretched.max() > 1.08


@pytest.mark.slow
def test_its_loss_moves_the_latents_and_nothing_else(reader: Reader, drawings: ShapeData) -> None:
    labels, latents = (
        reading_labels(drawings.drawings[:8]),
        drawings.latents[8:16].float().requires_grad_(True),
    )
    losses = []
    for _ in range(20):
        loss = reader.loss(latents, labels).sum()
        [gradient] = torch.autograd.grad(loss, latents)
        latents = (latents - 0.3 * gradient / gradient.norm()).detach().requires_grad_(True)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not any(p.requires_grad for p in reader.parameters())


def _loss(stage: DenoiserStage, **changes: float) -> tuple[float, dict[str, float]]:
    stage.config = stage.config.model_copy(update={"shapes_share": 0.8, **changes})
    torch.manual_seed(1)
    loss, figures = stage.loss(np.random.default_rng(1))
    return float(loss.detach()), figures


def test_the_denoiser_is_read_only_where_captions_tell_what_to_draw(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    plain, figures = _loss(stage, reading_weight=0.0)
    assert "reading" not in figures
    read, figures = _loss(stage, reading_weight=0.5)
    assert figures["reading"] > 0
    assert plain < read
    stage.config = stage.config.model_copy(update={"caption_dropout": 1.0})
    assert _loss(stage, reading_weight=0.5)[1]["reading"] == 0


def test_drawings_with_lines_alone_start_blank_at_their_own_share(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    stage.config = stage.config.model_copy(update={"lines_blank_share": 0.9, "blank_share": 0.1})
    tile, lines = [0, 0, 0, 1, 0, 1.0], [1, 1, 0, 1, 0.5, 0.0]  # the first row is a photo
    batch = stage._batch(5, np.array([False, *[True] * 5]), np.random.default_rng(0))
    shares = stage._blank_share(batch, torch.tensor([tile, lines]))
    assert shares.tolist() == [0.1, 0.9, 0.1, 0.1, 0.9, 0.1]


def test_a_drawing_that_nothing_determines_is_not_read(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    free = {"shape_free_share": 1.0, "vague_share": 0.0, "caption_dropout": 0.0}
    assert _loss(stage, **free, open_share=1.0, open_told_step=-1)[1]["reading"] == 0
    assert _loss(stage, **free, open_share=0.0)[1]["reading"] > 0


def test_another_reader_comes_at_the_end_of_ones_life(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    rng = np.random.default_rng(0)
    config, clarity = stage.config, stage.clarity
    first = clarity.reader(config, rng)
    assert clarity.reader(config, rng) is first
    short = config.model_copy(update={"reader_life": 1})
    others = [clarity.reader(short, rng) for _ in range(2)]
    weights = [reader.get_parameter("body.0.weight") for reader in (first, *others)]
    assert not any(torch.equal(one, other) for one, other in itertools.pairwise(weights))
