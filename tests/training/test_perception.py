"""Latents are looked at through the decoder: what looks alike costs little, and only the latents move."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from flowsynth.training.clarity import Guess
from flowsynth.training.latents import Batch, encode
from flowsynth.training.perception import Perception
from flowsynth.training.pocket import Training
from flowsynth.training.styled import to_pixels
from tests.published import published
from tests.training.conftest import generated_picture

POCKET = Path(str(files("flowsynth") / "assets" / "pocket"))


@pytest.fixture
def perception() -> Perception:
    vae = AutoencoderKL.from_pretrained(POCKET / "vae", torch_dtype=torch.float32).eval()
    return Perception(vae, published("lpips-alex"))


@pytest.mark.weights
@pytest.mark.slow
def test_its_loss_moves_the_latents_and_no_weights(perception: Perception) -> None:
    picture = generated_picture(5)[None, :56, :56]
    kept = {key: value.clone() for key, value in perception.vae.state_dict().items()}
    right = encode(perception.vae, picture)
    latents = (right + 0.5 * torch.randn(right.shape, generator=torch.Generator().manual_seed(0))).detach()
    latents.requires_grad_(True)
    losses = []
    for _ in range(15):
        loss = perception.loss(latents, to_pixels(picture)).sum()
        losses.append(float(loss.detach()))
        loss.backward()
        with torch.no_grad():
            assert latents.grad is not None
            latents -= 0.3 * latents.grad / latents.grad.norm()
            latents.grad = None
    assert losses[-1] < 0.8 * losses[0]
    assert float(perception.loss(right, to_pixels(picture)).detach().sum()) < losses[0] / 2
    assert all(torch.equal(kept[key], value) for key, value in perception.vae.state_dict().items())


def guess(batch: Batch, scales: torch.Tensor, captions: list[str]) -> Guess:
    latents = torch.zeros_like(batch.target)
    return Guess(batch, latents, latents, torch.zeros(len(captions)), scales, captions)


def test_photos_are_looked_at_where_tile_and_caption_tell_another_picture(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    batch = stage._batch(2, np.zeros(6, bool), np.random.default_rng(0))
    batch.tile[:] = batch.pixels
    batch.tile[1:] = 0
    scales = torch.tensor([[1.0, 1, 0.4, 0, 1, 1], [1.0] * 6])
    marked = guess(batch, scales, ["a", "a", "a", "a", "a", "a"]).restyled()
    assert marked.tolist() == [False, True, True, False, False, False]  # the last two are drawings
    assert not guess(batch, scales, ["", "", "", "", "a", "a"]).restyled().any()


def test_drawings_are_looked_at_where_captions_alone_tell_them(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    batch = stage._batch(5, np.zeros(6, bool), np.random.default_rng(0))
    scales = torch.zeros(2, 6)  # the first row is a photo
    scales[:, 0], scales[1, 2] = 1, 0.5
    made = guess(batch, scales, ["a"] * 6)
    told = torch.tensor([True, True, True, True, False])
    found = {
        tuple(made.by_caption(told, 2, np.random.default_rng(seed)).nonzero()[:, 0].tolist())
        for seed in range(20)
    }
    assert found == {(1, 3), (1, 4), (3, 4)}
    controlled = torch.tensor([False, True, False, False, False])
    assert not made.by_caption(controlled, 2, np.random.default_rng(0)).any()


@pytest.mark.weights
def test_looking_at_drawings_adds_to_the_loss(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    stage.styles.cache = published("lpips-alex")
    losses = []
    told = {"shapes_share": 1.0, "shape_free_share": 1.0, "open_share": 0.0, "caption_dropout": 0.0}
    told |= {"word_share": 0.0, "moving_told_step": 1000}
    for looks in (0, 3):
        stage.config = stage.config.model_copy(update={**told, "drawing_looks": looks})
        torch.manual_seed(1)
        losses.append(stage.loss(np.random.default_rng(1)))
    (plain, before), (more, after) = losses
    assert "seen" not in before
    assert (more - plain).item() == pytest.approx(
        stage.config.drawing_looks_weight * 3 * after["seen"] / stage.config.batch, rel=1e-3
    )
