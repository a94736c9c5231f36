"""Some rows are taken a step of sampling on, with the denoiser's own errors, before it learns from them."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from flowsynth.training.networks import SCHEDULER
from flowsynth.training.pocket import Training
from flowsynth.training.rollout import Noisy, RolloutConfig, roll_on

ALL = RolloutConfig(share=1.0, timesteps=(100, 101), lowest_step=200, excess=(1.0, 1.0))


def noisy(times: list[int]) -> tuple[torch.Tensor, Noisy]:
    torch.manual_seed(0)
    target = torch.randn(len(times), 4, 8, 8)
    return target, Noisy.mix(target, torch.randn_like(target), torch.tensor(times))


def test_the_v_towards_a_picture_is_the_one_that_gives_it() -> None:
    target, start = noisy([10, 500, 999])
    torch.testing.assert_close(start.picture(start.towards(target)), target, atol=1e-4, rtol=1e-4)


def test_a_step_is_that_of_ddim() -> None:
    target, start = noisy([999, 400])
    v = torch.randn_like(target)
    after, moved = roll_on(ALL, start, target, lambda some, rows: v[rows], np.random.default_rng(0))
    assert moved.all()
    assert after.times.tolist() == [899, 300]
    scheduler = DDIMScheduler(**{**SCHEDULER, "timestep_spacing": "leading", "steps_offset": 0})
    scheduler.set_timesteps(10)  # of 100 timesteps each
    for row, time in enumerate([999, 400]):
        step = scheduler.step(v[row], time, start.latents[row]).prev_sample
        torch.testing.assert_close(after.latents[row], step, atol=1e-5, rtol=1e-5)


def test_errors_count_as_often_as_asked_and_little_noise_stays() -> None:
    target, start = noisy([999, 280])
    v, twice = torch.randn_like(target), ALL.model_copy(update={"excess": (2.0, 2.0)})
    act = [
        roll_on(c, start, target, lambda some, rows: v[rows], np.random.default_rng(0)) for c in (ALL, twice)
    ]
    (once, moved), (more, _) = act
    assert moved.tolist() == [True, False]
    assert torch.equal(once.latents[1], start.latents[1])
    error = start[torch.tensor([0])].picture(v[:1]) - target[:1]
    torch.testing.assert_close(
        more.latents[0] - once.latents[0], once.alpha[0] * error[0], atol=1e-4, rtol=1e-4
    )


@pytest.mark.sample(1)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_weights_learn_from_rows_that_were_taken_on(trained: Training, share: float) -> None:
    stage = trained.denoiser_trainer().stage
    stage.config = stage.config.model_copy(update={"rollout": ALL.model_copy(update={"share": share})})
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = stage.loss(np.random.default_rng(0))
    loss.backward()
    gradients = [float(p.grad.abs().sum()) for p in stage.unet.parameters() if p.grad is not None]
    assert np.mean([gradient > 0 for gradient in gradients]) > 0.9
    assert len(gradients) == len(list(stage.unet.parameters()))
