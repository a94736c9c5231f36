"""ControlNets that run on some rows only give what they give on all rows."""

import pytest
import torch
from diffusers import ControlNetModel

from flowsynth.training.control import control_residuals
from flowsynth.training.networks import NetworkConfig, build_controlnet

SMALL = NetworkConfig(
    latent_channels=4,
    channels=(8, 16),
    heads=2,
    groups=4,
    text_width=16,
    embedding_channels=(4, 8, 8),
)


#: Noisy latents, timesteps, text states.
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture
def inputs() -> Inputs:
    torch.manual_seed(0)
    return torch.randn(4, 4, 8, 8), torch.tensor([0, 10, 500, 999]), torch.randn(4, 7, 16)


@pytest.fixture
def nets() -> list[ControlNetModel]:
    return [build_controlnet(SMALL).eval() for _ in range(2)]


@torch.no_grad()
def test_rows_equal_a_full_batch_times_its_scales(nets: list[ControlNetModel], inputs: Inputs) -> None:
    pictures = [torch.rand(4, 3, 32, 32) for _ in nets]
    scales = [torch.tensor([0.0, 1.0, 0.0, 0.5]), torch.tensor([0.0, 0.3, 1.0, 0.0])]
    residuals = control_residuals(nets, pictures, scales, inputs)
    assert residuals is not None
    down, middle = residuals
    full = [
        net(*inputs, controlnet_cond=shown, return_dict=False)
        for net, shown in zip(nets, pictures, strict=True)
    ]
    for index, made in enumerate(down):
        wanted = sum(f[0][index] * s.view(-1, 1, 1, 1) for f, s in zip(full, scales, strict=True))
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)
    wanted = sum(f[1] * s.view(-1, 1, 1, 1) for f, s in zip(full, scales, strict=True))
    torch.testing.assert_close(middle, wanted, rtol=1e-4, atol=1e-5)
    assert not down[0][0].any()


def test_no_scale_no_residuals(nets: list[ControlNetModel], inputs: Inputs) -> None:
    pictures = [torch.rand(4, 3, 32, 32) for _ in nets]
    assert control_residuals(nets, pictures, [torch.zeros(4)] * 2, inputs) is None
