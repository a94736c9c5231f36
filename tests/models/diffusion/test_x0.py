"""Edits of the predicted clean latents: exact for every prediction type and scheduler."""

from collections.abc import Callable

import pytest
import torch

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.schedulers import SCHEDULERS, make_scheduler
from flowsynth.models.diffusion.timesteps import decompose, level_of, set_timesteps
from flowsynth.models.diffusion.x0 import edited_output, level_at, require_plain

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

BASE = {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
TWO_A_STEP = {"heun", "heun_karras", "dpm2", "dpm2_karras", "dpm2_a", "dpm2_a_karras"}
OTHER_NOISE = {"ipndm"}
NAMES = sorted(set(SCHEDULERS) - TWO_A_STEP - OTHER_NOISE - {"dpmpp_sde", "dpmpp_sde_karras"})


def always(latents: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """An edit that leads to these latents, whatever it is given."""
    return lambda _: latents


def noise(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow_prediction"])
@pytest.mark.parametrize("alpha", [0.02, 0.5, 0.998])
def test_an_edit_leads_to_the_new_clean_latents_from_the_same_sample(kind: str, alpha: float) -> None:
    x0, eps, other = noise(0), noise(1), noise(2)
    signal, sigma = level = (alpha, 1 - alpha) if kind == "flow_prediction" else level_of(alpha)
    sample = signal * x0 + sigma * eps
    outputs = {"epsilon": eps, "v_prediction": signal * eps - sigma * x0, "flow_prediction": eps - x0}
    output = outputs.get(kind, x0)
    seen = []

    def edit(clean: torch.Tensor) -> torch.Tensor:
        seen.append(clean)
        return other

    made = edited_output(output, sample, level, kind, edit)
    torch.testing.assert_close(seen[0], x0, atol=1e-4, rtol=1e-4)
    clean, left = decompose(made, sample, level, kind)
    torch.testing.assert_close(clean, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(signal * other + sigma * left, sample, atol=1e-4, rtol=1e-4)
    assert edited_output(output, sample, level, kind, lambda clean: clean) is output


@pytest.mark.parametrize("strength", [None, 0.6])
@pytest.mark.parametrize("name", NAMES)
def test_the_noise_level_is_the_scheduler_s_own(name: str, strength: float | None) -> None:
    scheduler = make_scheduler(name, BASE)
    scheduler, timesteps = set_timesteps(scheduler, 6, strength, "scheduler", torch.device("cpu"))
    x0, eps = noise(0), noise(1)
    for step, t in enumerate(timesteps):
        noisy = scheduler.add_noise(x0, eps, t[None].repeat(2))
        index = len(scheduler.timesteps) - len(timesteps) + step
        signal, sigma = level_at(scheduler, index, t)
        # What the network sees at t, told by the scheduler's own way of adding noise.
        seen = scheduler.scale_model_input(noisy, t)
        torch.testing.assert_close(seen, signal * x0 + sigma * eps, atol=2e-3, rtol=0)
        scheduler.step(eps, t, noisy)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_ddim_steps_to_the_edited_latents(kind: str) -> None:
    for spacing in ("scheduler", "diffutoon"):
        base = make_scheduler("ddim", BASE, {"prediction_type": kind})
        scheduler, timesteps = set_timesteps(base, 4, None, spacing, torch.device("cpu"))
        sample, output, other = noise(0), noise(1), noise(2)
        for step, t in enumerate(timesteps):
            level = level_at(scheduler, step, t)
            changed = edited_output(output, sample, level, kind, always(other))
            _, clean = scheduler.step(changed, t, sample, return_dict=False)
            torch.testing.assert_close(clean, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(TWO_A_STEP | OTHER_NOISE))
def test_schedulers_that_cannot_are_refused(name: str) -> None:
    with pytest.raises(
        RequestError, match=r"deflicker does not work with .*; expected a scheduler of one step"
    ):
        require_plain(make_scheduler(name, {}))
