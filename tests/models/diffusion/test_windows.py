"""Sliding windows: what they cover, how they are averaged, and that controls are computed once a frame."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

from flowsynth.core.context import Portions
from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.condition import Conditions
from flowsynth.models.diffusion.control import Control, ResidualBuffer
from flowsynth.models.diffusion.schedulers import make_scheduler
from flowsynth.models.diffusion.timesteps import EvenDdim, diffutoon_timesteps
from flowsynth.models.diffusion.windows import batches_of
from flowsynth.models.families.sd.denoise import DenoiseInputs, denoise
from flowsynth.models.families.sd.options import SdDenoiseOptions
from flowsynth.models.requests import DenoiseSettings, Hooks
from tests.tiny import tiny_sd

CONFIG = {
    "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear",
    "clip_sample": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def unet() -> Any:
    return UNet2DConditionModel.from_pretrained(tiny_sd() / "base" / "unet", local_files_only=True)


@pytest.fixture(scope="module")
def motion_unet(unet: Any) -> Any:
    adapter = MotionAdapter.from_pretrained(tiny_sd() / "motion_adapter", local_files_only=True)
    return UNetMotionModel.from_unet2d(unet, adapter).eval()


@pytest.fixture(scope="module")
def controlnet() -> Any:
    return ControlNetModel.from_pretrained(tiny_sd() / "controlnet_lines", local_files_only=True)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def run(unet: Any, frames: int, controls: Any = (), hooks: Hooks | None = None, **settings: Any) -> Any:
    text = randn(1, 77, 32, seed=1), randn(1, 77, 32, seed=2)
    inputs = DenoiseInputs(unet, make_scheduler("ddim", CONFIG), (frames, 4, 8, 8), *text, controls=controls)
    own = {k: settings.pop(k) for k in SdDenoiseOptions.model_fields if k in settings}
    numbers = DenoiseSettings(**{"num_inference_steps": 2, "window": 6, "stride": 3} | settings)
    return denoise(inputs, numbers, hooks, SdDenoiseOptions(**own))


def test_windows_of_equal_length_are_batched() -> None:
    assert batches_of([(0, 4), (2, 6), (4, 8), (6, 9)], 2) == [[(0, 4), (2, 6)], [(4, 8)], [(6, 9)]]


def test_a_long_clip_equals_the_written_out_average_of_its_windows(motion_unet: Any) -> None:
    """One step of 10 frames by hand: windows, weights, guidance, DDIM."""
    result = run(motion_unet, 10, num_inference_steps=1)
    scheduler = make_scheduler("ddim", CONFIG)
    scheduler.set_timesteps(1)
    t = scheduler.timesteps[0]
    latents = torch.randn(1, 4, 10, 8, 8, generator=torch.Generator().manual_seed(0))
    text = torch.cat([randn(1, 77, 32, seed=2), randn(1, 77, 32, seed=1)])
    total, weight = torch.zeros(2, 4, 10, 8, 8), torch.zeros(10)
    with torch.no_grad():
        for start, stop in [(0, 6), (3, 9), (6, 10)]:
            n = stop - start
            part = torch.cat([latents[:, :, start:stop]] * 2)
            noise = motion_unet(part, t, encoder_hidden_states=text.repeat_interleave(n, 0)).sample
            w = torch.tensor([max(1 - abs(i - (n - 1) / 2) / ((n - 1 + 0.01) / 2), 0.01) for i in range(n)])
            total[:, :, start:stop] += noise * w[None, None, :, None, None]
            weight[start:stop] += w
    uncond, cond = (total / weight[None, None, :, None, None]).chunk(2)
    expected = scheduler.step(uncond + 7.5 * (cond - uncond), t, latents).prev_sample
    assert torch.allclose(result, expected[0].transpose(0, 1), atol=1e-5)


def test_the_batch_of_windows_does_not_change_the_result(motion_unet: Any, controlnet: Any) -> None:
    images = torch.rand(14, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    controls = [Control(controlnet, lambda a, b: images[a:b])]
    one = run(motion_unet, 14, controls)
    two = run(motion_unet, 14, controls, window_batch=2)
    assert torch.allclose(one, two, atol=1e-4)


def test_without_motion_modules_the_window_only_bounds_the_batch(unet: Any) -> None:
    assert torch.allclose(run(unet, 9), run(unet, 9, window=9), atol=1e-4)


def test_control_frames_are_read_and_embedded_once(
    motion_unet: Any, controlnet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> torch.Tensor:
        reads.append((start, stop))
        return torch.full((stop - start, 3, 32, 32), 0.5)

    spans = [(0, 6), (6, 9), (9, 12), (12, 14)]
    kept = run(motion_unet, 14, [Control(controlnet, read)])
    assert reads == spans, "the second step reads none"
    reads.clear()
    monkeypatch.setattr(Conditions.__init__, "__defaults__", (0,))
    assert torch.equal(run(motion_unet, 14, [Control(controlnet, read)]), kept)
    assert reads == spans * 2, "without room each step reads them all"


def test_a_network_is_as_it_was_after_its_maps_were_embedded(controlnet: Any) -> None:
    maps = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    sample, text, t = randn(2, 4, 8, 8), randn(2, 77, 32), torch.tensor(500)
    conditions = Conditions(controlnet, lambda a, b: maps[a:b])
    with torch.no_grad():
        embedded = conditions.of(0, 2, maps.device)
        before = controlnet(sample, t, text, maps, return_dict=False)
        bare = conditions.net(sample, t, text, embedded, return_dict=False)
    assert torch.equal(before[1], bare[1])
    assert conditions.net is not controlnet
    shared = {p.data_ptr() for p in controlnet.parameters()}
    assert {p.data_ptr() for p in conditions.net.parameters()} <= shared


def test_a_still_unet_gets_a_few_frames_at_once_on_a_cpu_unless_told_otherwise(unet: Any) -> None:
    def sizes(**settings: Any) -> tuple[list[int], torch.Tensor]:
        seen: list[int] = []
        hook = unet.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
        try:
            return seen, run(unet, 10, guidance_scale=1.0, num_inference_steps=1, **settings)
        finally:
            hook.remove()

    few, made = sizes(window=None, stride=None)
    all_, whole = sizes(window=10)
    assert (few, all_) == ([4, 4, 2], [10])
    assert torch.allclose(made, whole, atol=1e-4)
    short = Hooks(portions=Portions(2))
    less, near = sizes(window=10, hooks=short)
    assert less == [2, 2, 2, 2, 2]
    assert short.portions.less
    assert torch.allclose(near, whole, atol=1e-4)


def test_windows_that_motion_modules_see_stay_as_they_are(motion_unet: Any) -> None:
    """With little memory they are taken one by one; another window would be another picture."""
    short = Hooks(portions=Portions(3))
    made = run(motion_unet, 9, hooks=short, window_batch=2)
    assert short.portions.less
    assert torch.allclose(made, run(motion_unet, 9), atol=1e-4)


def test_buffered_residuals_equal_those_computed_alone(controlnet: Any) -> None:
    images = torch.rand(9, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    sample, text, t = randn(2, 9, 4, 8, 8), randn(2, 9, 77, 32), torch.tensor(500)
    controls = [(Control(controlnet, lambda a, b: images[a:b]), 0.7)]
    with torch.no_grad():
        sliding = ResidualBuffer(controls, t, sample, text)
        for start, stop in [(0, 4), (2, 6), (5, 9)]:
            alone = ResidualBuffer(controls, t, sample, text).get(start, stop)
            kept = sliding.get(start, stop)
            assert kept is not None
            assert alone is not None
            assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(kept, alone, strict=True))


def test_controls_outside_their_share_of_the_steps_are_not_even_read(unet: Any, controlnet: Any) -> None:
    def read(start: int, stop: int) -> torch.Tensor:
        raise AssertionError("read a control that is off")

    assert run(unet, 1, [Control(controlnet, read, start=0.0, end=0.1)]).isfinite().all()


def test_a_window_past_the_position_table_is_refused(motion_unet: Any) -> None:
    with pytest.raises(RequestError, match=r"window is 17 frames, but the motion adapter's .* ends at 16"):
        run(motion_unet, 20, window=17, stride=8)


def test_text_and_latents_of_another_model_are_refused(unet: Any) -> None:
    scheduler, text = make_scheduler("ddim", CONFIG), randn(1, 77, 16)
    inputs = DenoiseInputs(unet, scheduler, (1, 4, 8, 8), text, text)
    with pytest.raises(RequestError, match="takes text states of 32 values, the conditioning has 16"):
        denoise(inputs, DenoiseSettings())
    wide = randn(1, 77, 32)
    with pytest.raises(RequestError, match="the UNet takes 4 channels, the latents have 9"):
        denoise(DenoiseInputs(unet, scheduler, (1, 9, 8, 8), wide, wide), DenoiseSettings())


def test_progress_and_cancellation_reach_the_caller(unet: Any) -> None:
    seen: list[tuple[int, int]] = []
    run(unet, 1, hooks=Hooks(progress=lambda i, n: seen.append((i, n))))
    assert seen == [(1, 2), (2, 2)]

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(unet, 1, hooks=Hooks(check=stop))


def test_the_global_generator_is_neither_read_nor_moved(unet: Any) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = run(unet, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, run(unet, 2))


def test_diffutoon_timesteps_spend_all_steps_inside_the_range() -> None:
    assert diffutoon_timesteps(10, 1.0) == [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]
    assert diffutoon_timesteps(3, 0.5) == [499, 250, 0]
    assert diffutoon_timesteps(1, 0.9) == [899]


def test_even_ddim_equals_diffusers_where_their_timesteps_agree() -> None:
    theirs = make_scheduler("ddim", CONFIG, {"timestep_spacing": "leading", "set_alpha_to_one": True})
    theirs.set_timesteps(10)
    even = EvenDdim(make_scheduler("ddim", CONFIG), theirs.timesteps.tolist(), torch.device("cpu"))
    x, noise = randn(1, 4, 8, 8), randn(1, 4, 8, 8, seed=9)
    for t in theirs.timesteps:
        expected = theirs.step(noise, t, x).prev_sample
        assert torch.allclose(even.step(noise, t, x)[0], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_diffutoon_spacing_runs_every_step_at_a_low_strength(unet: Any) -> None:
    seen: list[tuple[int, int]] = []
    text = randn(1, 77, 32, seed=1), randn(1, 77, 32, seed=2)
    for name in ("ddim", "euler"):
        inputs = DenoiseInputs(
            unet, make_scheduler(name, CONFIG), (1, 4, 8, 8), *text, init=randn(1, 4, 8, 8)
        )
        settings, even = (
            DenoiseSettings(num_inference_steps=4, strength=0.3),
            SdDenoiseOptions(timestep_spacing="diffutoon"),
        )
        denoise(inputs, settings, Hooks(progress=lambda i, n: seen.append((i, n))), even)
    assert [i for i, _ in seen] == [1, 2, 3, 4] * 2


def test_no_strength_gives_the_initial_latents_back(unet: Any) -> None:
    init = randn(2, 4, 8, 8)
    inputs = DenoiseInputs(
        unet, make_scheduler("ddim", CONFIG), (2, 4, 8, 8), randn(1, 77, 32), randn(1, 77, 32), init=init
    )
    assert torch.equal(denoise(inputs, DenoiseSettings(strength=0.0)), init)


def test_a_strength_below_one_step_is_told(unet: Any) -> None:
    init, said = randn(2, 4, 8, 8), list[str]()
    inputs = DenoiseInputs(
        unet, make_scheduler("ddim", CONFIG), (2, 4, 8, 8), randn(1, 77, 32), randn(1, 77, 32), init=init
    )
    for strength, told in ((0.0, 0), (0.1, 1), (0.3, 1)):
        settings = DenoiseSettings(num_inference_steps=5, strength=strength)
        made = denoise(inputs, settings, Hooks(note=said.append))
        assert torch.equal(made, init) == (strength < 0.2)
        assert len(said) == told
    assert said[0].startswith("strength 0.1 of 5 steps is less than one step")
