"""text_encode, empty_latents, vae_encode, denoise and vae_decode on a tiny real model, called plainly."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from diffusers import (
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
)

from flowsynth.core.context import Portions, RunContext
from flowsynth.core.errors import CancelledError, RequestError, RunError
from flowsynth.models import Model, parse_model
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.values import Conditioning, Frames, Latents
from tests.tiny import as_sd, tiny_sd

SIZE = {"height": 32, "width": 32}


def model(**extra: Any) -> Model:
    spec = {"family": "sd", "source": str(tiny_sd() / "base"), **extra}
    return Model(parse_model("base", spec))


def controlled() -> Model:
    root = tiny_sd()
    return model(controlnets={"lines": str(root / "controlnet_lines"), "tile": str(root / "controlnet_tile")})


def moving() -> Model:
    return model(motion=str(tiny_sd() / "motion_adapter"))


def clip(frames: int, height: int = 32, width: int = 32, seed: int = 0) -> Frames:
    data = torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return Frames(data, Fraction(12))


def prompts(ctx: RunContext, owner: Model, prompt: Any = "a red cat") -> Conditioning:
    return TextEncode(prompt=prompt, negative_prompt="bad").run(ctx, model=owner)


def by_hand(ctx: RunContext, cls: Any, owner: Model, **extra: Any) -> Any:
    loaded = as_sd(owner.load(ctx))
    text = loaded.text_encoder
    pipe = cls(
        vae=loaded.vae, text_encoder=text.net, tokenizer=text.tokenizer, unet=loaded.unet,
        scheduler=loaded.scheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False, **extra,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_latents_in_half_precision_equal_the_pipeline_s(ctx: RunContext) -> None:
    base = model(dtype="bfloat16")
    latents = EmptyLatents(**SIZE).run(ctx, model=base)
    done = Denoise(num_inference_steps=3, seed=7).run(
        ctx, model=base, latents=latents, conditioning=prompts(ctx, base)
    )
    expected = by_hand(ctx, StableDiffusionPipeline, base)(
        "a red cat", negative_prompt="bad", num_inference_steps=3, **SIZE,
        generator=torch.Generator().manual_seed(7), output_type="latent",
    ).images  # fmt: skip
    assert done.tensor.dtype == torch.bfloat16
    assert torch.equal(done.tensor, expected)


def test_text_to_image_equals_the_pipeline_to_the_pixel(ctx: RunContext) -> None:
    base = model()
    latents = EmptyLatents(**SIZE).run(ctx, model=base)
    done = Denoise(num_inference_steps=3, seed=7).run(
        ctx, model=base, latents=latents, conditioning=prompts(ctx, base)
    )
    frames = VaeDecode(dtype="float32").run(ctx, latents=done, model=base)
    expected = by_hand(ctx, StableDiffusionPipeline, base)(
        "a red cat", negative_prompt="bad", num_inference_steps=3, **SIZE,
        generator=torch.Generator().manual_seed(7), output_type="pt",
    ).images  # fmt: skip
    assert torch.equal(frames.tensor, expected)


def test_image_to_image_equals_the_pipeline_to_the_pixel(ctx: RunContext) -> None:
    base, source = model(), clip(1)
    done = Denoise(num_inference_steps=4, strength=0.5, seed=7).run(
        ctx,
        model=base,
        latents=VaeEncode().run(ctx, frames=source, model=base),
        conditioning=prompts(ctx, base),
    )
    frames = VaeDecode(dtype="float32").run(ctx, latents=done, model=base)
    latent = VaeEncode().run(ctx, frames=source, model=base).tensor
    expected = by_hand(ctx, StableDiffusionImg2ImgPipeline, base)(
        "a red cat", negative_prompt="bad", num_inference_steps=4, strength=0.5, image=latent,
        generator=torch.Generator().manual_seed(7), output_type="pt",
    ).images  # fmt: skip
    assert torch.equal(frames.tensor, expected)


def test_controls_of_two_nets_equal_the_pipeline(ctx: RunContext) -> None:
    base, lines, tile = controlled(), clip(1, seed=1), clip(1, seed=2)
    done = Denoise(num_inference_steps=3, control_scale=(0.5, 0.9), control_end=(0.7, 1.0)).run(
        ctx,
        model=base,
        latents=EmptyLatents(**SIZE).run(ctx, model=base),
        conditioning=prompts(ctx, base),
        control=[lines, tile],
    )
    loaded = as_sd(base.load(ctx))
    nets = [loaded.controlnet("lines"), loaded.controlnet("tile")]
    expected = by_hand(ctx, StableDiffusionControlNetPipeline, base, controlnet=nets)(
        "a red cat", negative_prompt="bad", num_inference_steps=3, image=[lines.tensor, tile.tensor],
        controlnet_conditioning_scale=[0.5, 0.9], control_guidance_end=[0.7, 1.0],
        generator=torch.Generator().manual_seed(0), output_type="latent",
    ).images  # fmt: skip
    assert torch.equal(done.tensor, expected)


def test_named_controlnets_take_the_controls(ctx: RunContext) -> None:
    base, lines = controlled(), clip(1, seed=1)
    inputs: dict[str, Any] = {
        "model": base,
        "latents": EmptyLatents(**SIZE).run(ctx, model=base),
        "conditioning": prompts(ctx, base),
        "control": [lines],
    }
    tile = Denoise(num_inference_steps=2, controlnets=("tile",)).run(ctx, **inputs)
    other = Denoise(num_inference_steps=2, controlnets=("lines",)).run(ctx, **inputs)
    assert not torch.equal(tile.tensor, other.tensor)
    with pytest.raises(RequestError, match=r"wrong number of controls; expected 2 \(lines, tile\).*given 1"):
        Denoise(num_inference_steps=2).run(ctx, **inputs)


def test_a_long_odd_sized_clip_runs_through_all_verbs(ctx: RunContext) -> None:
    root = tiny_sd()
    base = model(motion=str(root / "motion_adapter"), controlnets={"lines": str(root / "controlnet_lines")})
    source = clip(21, 30, 37)
    steps: list[tuple[int, int]] = []
    ctx.on_progress = lambda i, n: steps.append((i, n))
    latents = VaeEncode().run(ctx, frames=source, model=base)
    assert (latents.height, latents.width, latents.frame_shape) == (30, 37, (4, 8, 10))
    done = Denoise(num_inference_steps=2, strength=1.0, window=8, stride=4).run(
        ctx,
        model=base,
        latents=latents,
        conditioning=prompts(ctx, base, {0: "a red cat", 20: "a blue house"}),
        control=[source],
    )
    frames = VaeDecode().run(ctx, latents=done, model=base)
    assert frames.tensor.shape == (21, 3, 30, 37)
    assert (frames.fps, str(frames.tensor.dtype)) == (Fraction(12), "torch.uint8")
    assert (2, 2) in steps


def test_a_travelling_prompt_changes_the_frames_that_it_covers(ctx: RunContext) -> None:
    base = model()
    latents = EmptyLatents(**SIZE, num_frames=3).run(ctx, model=base)

    def run(prompt: Any) -> torch.Tensor:
        conditioning = prompts(ctx, base, prompt)
        return (
            Denoise(num_inference_steps=2)
            .run(ctx, model=base, latents=latents, conditioning=conditioning)
            .tensor
        )

    still, travelling = run("a red cat"), run({0: "a red cat", 2: "a blue house"})
    assert torch.equal(still[0], travelling[0])
    assert not torch.allclose(still[2], travelling[2], atol=1e-3)


def test_empty_latents_take_the_size_of_frames(ctx: RunContext) -> None:
    latents = EmptyLatents().run(ctx, model=model(), like=clip(3, 30, 37))
    assert (latents.num_frames, latents.height, latents.width, latents.fps) == (3, 30, 37, Fraction(12))
    assert latents.empty
    assert latents.space == "sd/f4c4x0.18215"


def test_a_chunk_of_frames_is_encoded_and_decoded_as_in_the_whole(ctx: RunContext) -> None:
    base, source = model(), clip(5)
    for operator in (VaeEncode(), VaeEncode(sample=True, seed=3)):
        whole = operator.run(ctx, frames=source, model=base)
        parts = [operator.run(ctx, frames=source.slice(a, b), model=base) for a, b in ((0, 2), (2, 5))]
        assert torch.equal(whole.tensor, Latents.concat(parts).tensor)
    whole_frames = VaeDecode().run(ctx, latents=whole, model=base)
    part = VaeDecode().run(ctx, latents=whole.slice(2, 5), model=base)
    assert torch.equal(whole_frames.tensor[2:], part.tensor)


def test_tiles_do_not_change_what_a_pixel_shows(ctx: RunContext) -> None:
    base, source = model(), clip(1, 100, 75)
    whole = VaeEncode().run(ctx, frames=source, model=base)
    tiled = VaeEncode(tile_size=24).run(ctx, frames=source, model=base)
    assert torch.allclose(whole.tensor, tiled.tensor, atol=1e-4)
    a = VaeDecode(dtype="float32").run(ctx, latents=whole, model=base)
    b = VaeDecode(dtype="float32", tile_size=24).run(ctx, latents=whole, model=base)
    assert (a.tensor - b.tensor).abs().max() < 1e-4


def test_with_little_memory_a_vae_takes_tiles(ctx: RunContext) -> None:
    base, source = model(), clip(2, 100, 300)
    short = replace(ctx, portions=Portions(1))
    whole = VaeEncode(batch_size=2).run(ctx, frames=source, model=base)
    part = VaeEncode(batch_size=2).run(short, frames=source, model=base)
    assert short.portions.less
    assert not ctx.portions.less
    assert torch.allclose(whole.tensor, part.tensor, atol=1e-4)
    short.portions.again(1)
    a = VaeDecode(dtype="float32").run(ctx, latents=whole, model=base)
    b = VaeDecode(dtype="float32").run(short, latents=whole, model=base)
    assert short.portions.less
    assert 0 < (a.tensor - b.tensor).abs().max() < 1e-4
    short.portions.again(4)
    small = VaeDecode(dtype="float32").run(
        short, latents=VaeEncode().run(ctx, frames=clip(1), model=base), model=base
    )
    assert small.num_frames == 1
    assert not short.portions.less, "a frame of one tile stays whole"


def test_latents_of_another_space_are_refused(ctx: RunContext) -> None:
    foreign = Latents(torch.zeros(1, 4, 8, 8), space="sd/f8c4x0.18215")
    with pytest.raises(RequestError, match=r"'sd/f8c4x0.18215' given to a model of space 'sd/f4c4x0.18215'"):
        VaeDecode().run(ctx, latents=foreign, model=model())
    with pytest.raises(RequestError, match="denoise: latents of space"):
        Denoise().run(ctx, model=model(), latents=foreign, conditioning=prompts(ctx, model()))


def test_conditioning_of_another_family_is_refused(ctx: RunContext) -> None:
    latents = EmptyLatents(**SIZE).run(ctx, model=model())
    foreign = Conditioning("flux", {"prompt": torch.zeros(1, 77, 32), "negative": torch.zeros(1, 77, 32)})
    with pytest.raises(RequestError, match="conditioning of family 'flux' given to a model of family 'sd'"):
        Denoise().run(ctx, model=model(), latents=latents, conditioning=foreign)


@pytest.mark.parametrize(
    ("control", "message"),
    [(clip(1, 16, 16), "is 16x16; expected the frames' 32x32"), (clip(2), "has 2 frames; expected 3")],
)
def test_controls_that_do_not_fit_are_refused(ctx: RunContext, control: Frames, message: str) -> None:
    base = model(controlnets={"lines": str(tiny_sd() / "controlnet_lines")})
    latents = EmptyLatents(**SIZE, num_frames=3).run(ctx, model=base)
    with pytest.raises(RequestError, match=message):
        Denoise().run(ctx, model=base, latents=latents, conditioning=prompts(ctx, base), control=[control])


def test_nan_latents_are_named(ctx: RunContext) -> None:
    bad = Latents(torch.full((1, 4, 8, 8), float("nan")), space="sd/f4c4x0.18215")
    with pytest.raises(RunError, match="the latents hold NaN or infinity"):
        VaeDecode().run(ctx, latents=bad, model=model())


def test_a_run_can_be_cancelled_between_steps(ctx: RunContext) -> None:
    base = model()
    latents = EmptyLatents(**SIZE).run(ctx, model=base)
    conditioning = prompts(ctx, base)
    ctx.cancelled = threading.Event()
    seen: list[int] = []

    def on_progress(step: int, total: int) -> None:
        seen.append(step)
        if ctx.cancelled is not None:
            ctx.cancelled.set()

    ctx.on_progress = on_progress
    with pytest.raises(CancelledError):
        Denoise(num_inference_steps=5).run(ctx, model=base, latents=latents, conditioning=conditioning)
    assert seen == [1]


def test_a_null_seed_is_new_every_time_and_told(ctx: RunContext) -> None:
    base = model()
    latents = EmptyLatents(**SIZE).run(ctx, model=base)
    operator = Denoise(num_inference_steps=1, seed=None)
    assert not operator.cacheable()
    first, second = (
        operator.run(ctx, model=base, latents=latents, conditioning=prompts(ctx, base)) for _ in range(2)
    )
    assert not torch.equal(first.tensor, second.tensor)
    assert len(ctx.notes) == 2


def test_checks_name_every_fault_before_a_run() -> None:
    spec = moving().spec
    operator = Denoise(
        window=17, stride=18, scheduler="eulr", controlnets=("line",), control_scale=(1.0, 2.0)
    )
    given = {"model": spec, "control": [Denoise()], "conditioning": TextEncode()}
    faults = {fault.path: str(fault) for fault in operator.check(given)}
    assert set(faults) == {
        "params.stride", "params.window", "params.scheduler", "params.controlnets[0]", "params.control_scale",
    }  # fmt: skip
    assert "at most 16 frames" in faults["params.window"]
    assert "did you mean 'euler'" in faults["params.scheduler"]
    assert Denoise().check({"model": {"family": "sd"}}) == []
    assert [str(f) for f in Denoise().check({"model": spec})] == [
        "inputs.conditioning: missing input; expected Conditioning"
    ]


def test_options_of_the_family_are_checked_before_a_run_and_in_a_plain_call(ctx: RunContext) -> None:
    spec = model().spec
    text = TextEncode(options={"clip_skp": 1, "syntax": "a1111"})
    assert [str(fault) for fault in text.check({"model": spec})] == [
        "params.options.syntax: input should be 'weights', 'comfy' or 'plain'; given 'a1111'",
        "params.options.clip_skp: unknown key; expected clip_skip, syntax; did you mean 'clip_skip'?",
    ]
    deep = TextEncode(options={"clip_skip": 3})
    told = "leaves no layer; expected at most 2, as the text encoder has 3 layers; given 3"
    assert [str(fault) for fault in deep.check({"model": spec})] == [f"params.options.clip_skip: {told}"]
    with pytest.raises(RequestError, match=r"text_encode: params.options.clip_skip: leaves no layer"):
        deep.run(ctx, model=model())
    faults = Denoise(scheduler="eulr", options={"eta": 2}).check({"model": spec, "conditioning": text})
    assert [fault.path for fault in faults] == ["params.options.eta", "params.scheduler"]
    assert [fault.path for fault in VaeDecode(options={"x": 1}).check({"model": spec})] == [
        "params.options.x"
    ]


def test_notes_on_prompts_reach_the_user(ctx: RunContext) -> None:
    TextEncode(prompt="a cat AND a dog", negative_prompt={0: "bad", 4: "[a|b]"}).run(ctx, model=model())
    assert ctx.notes == ["read as plain words, not as commands: AND, [a|b]"]


@pytest.mark.parametrize("name", ["ipndm"])
def test_a_scheduler_that_starts_from_noise_alone_says_so(ctx: RunContext, name: str) -> None:
    base = model()
    latents = VaeEncode().run(ctx, frames=clip(1), model=base)
    given: dict[str, Any] = {"model": base, "latents": latents, "conditioning": prompts(ctx, base)}
    with pytest.raises(RequestError, match="scheduler IPNDMScheduler starts from noise alone; expected"):
        Denoise(num_inference_steps=2, scheduler=name).run(ctx, **given)


def test_a_family_s_options_act(ctx: RunContext) -> None:
    base = model()
    plain, skipped, words = (
        TextEncode(prompt="a (red) cat", options=options).run(ctx, model=base).tensors["prompt"]
        for options in ({}, {"clip_skip": 1}, {"syntax": "plain"})
    )
    assert not torch.equal(plain, skipped)
    assert not torch.equal(plain, words)
    latents = EmptyLatents(**SIZE, num_frames=3).run(ctx, model=base)
    made = [
        Denoise(num_inference_steps=2, scheduler="ddim", options=options)
        .run(ctx, model=base, latents=latents, conditioning=prompts(ctx, base))
        .tensor
        for options in ({}, {"eta": 0.9}, {"guidance_rescale": 0.7}, {"noise": "independent"},
                        {"timestep_spacing": "diffutoon"})
    ]  # fmt: skip
    assert len({tensor.numpy().tobytes() for tensor in made}) == len(made)


def test_the_result_is_the_same_again_and_depends_on_prompt_and_seed(ctx: RunContext) -> None:
    base = model()
    latents = EmptyLatents(**SIZE).run(ctx, model=base)

    def run(prompt: str = "a red cat", **params: Any) -> torch.Tensor:
        operator = Denoise(num_inference_steps=2, **params)
        return operator.run(ctx, model=base, latents=latents, conditioning=prompts(ctx, base, prompt)).tensor

    assert torch.equal(run(), run())
    assert not torch.equal(run(), run(seed=1))
    assert not torch.equal(run(), run("blue sky"))
