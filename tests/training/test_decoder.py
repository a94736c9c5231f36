"""The decoder is trained on; what the encoder makes of a picture stays as it is."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from flowsynth.training.pocket import Training
from tests.published import published
from tests.training.conftest import generated_picture


def encoded(vae: AutoencoderKL) -> torch.Tensor:
    pixels = torch.from_numpy(generated_picture(5)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents: torch.Tensor = vae.encode(pixels).latent_dist.mode()
    return latents


def test_only_the_decoder_changes(trained: Training) -> None:
    before = trained.finished_vae
    trained.decoder_trainer().run()
    after = Training(trained.work, trained.configs).finished_vae
    torch.testing.assert_close(encoded(after), encoded(before), rtol=0, atol=0)
    with torch.no_grad():
        assert not torch.equal(after.decode(encoded(before)).sample, before.decode(encoded(before)).sample)


@pytest.mark.weights
@pytest.mark.slow
def test_the_perceptual_loss_falls_and_leaves_its_network_alone(trained: Training) -> None:
    cache = published("lpips-alex")
    stage = trained.decoder_trainer().stage
    stage.weight, stage.cache = 1.0, cache
    network = {key: value.clone() for key, value in stage.perceptual.state_dict().items()}
    parameters = [p for module in stage.modules().values() for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    found = []
    for _ in range(12):
        torch.manual_seed(0)
        loss, figures = stage.loss(np.random.default_rng(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(figures["lpips"])
    assert found[-1] < found[0]
    assert all(torch.equal(network[key], value) for key, value in stage.perceptual.state_dict().items())
