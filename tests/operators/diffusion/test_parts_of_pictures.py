"""Parts of a picture and of a schedule: masks, some of the steps, several prompts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.join_conditioning import JoinConditioning
from flowsynth.operators.diffusion.mix_conditioning import MixConditioning
from flowsynth.operators.diffusion.place_conditioning import PlaceConditioning
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.values import Conditioning, Frames, Latents
from tests.operators.diffusion.test_model_operators import by_hand, clip, controlled, model
from tests.tiny import as_sd

SIZE = {"height": 32, "width": 32}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def half() -> Frames:
    data = torch.zeros(1, 1, 32, 32)
    data[..., 16:] = 1
    return Frames(data)


def said(ctx: RunContext, prompt: str, negative: str = "bad") -> Conditioning:
    return TextEncode(prompt=prompt, negative_prompt=negative).run(ctx, model=model())


def drawn(ctx: RunContext, conditioning: Conditioning | None = None, **params: Any) -> torch.Tensor:
    latents = params.pop("latents", None) or EmptyLatents(**SIZE).run(ctx, model=model())
    ports = {name: params.pop(name) for name in ("mask",) if name in params}
    owner = params.pop("owner", None) or model()
    operator = Denoise(**{"num_inference_steps": 4, "seed": 7, **params})
    told = conditioning or said(ctx, "a red cat")
    return operator.run(ctx, model=owner, latents=latents, conditioning=told, **ports).tensor


def test_a_mask_equals_the_inpainting_pipeline_of_a_plain_unet(ctx: RunContext) -> None:
    source = VaeEncode().run(ctx, frames=clip(1), model=model())
    ours = drawn(ctx, latents=source, strength=0.75, mask=half())
    theirs = by_hand(ctx, StableDiffusionInpaintPipeline, model())(
        "a red cat", negative_prompt="bad", num_inference_steps=4, strength=0.75, image=source.tensor, **SIZE,
        mask_image=half().tensor, masked_image_latents=source.tensor,
        generator=torch.Generator().manual_seed(7), output_type="latent",
    ).images  # fmt: skip
    assert torch.equal(ours, theirs)
    assert torch.equal(ours[..., :4], source.tensor[..., :4])
    assert not torch.equal(ours[..., 4:], source.tensor[..., 4:])


def test_masks_that_fit_nothing_are_refused(ctx: RunContext) -> None:
    with pytest.raises(RequestError, match="a mask on empty latents"):
        drawn(ctx, mask=half())
    source = VaeEncode().run(ctx, frames=clip(1), model=model())
    with pytest.raises(RequestError, match="mask is 16x16; expected the frames' 32x32"):
        drawn(ctx, latents=source, mask=Frames(torch.zeros(1, 1, 16, 16)))


@pytest.mark.parametrize("pair", [("euler", "euler"), ("ddim", "ddim"), ("euler", "ddim"), ("ddim", "euler")])
def test_noise_that_is_left_is_taken_over(ctx: RunContext, pair: tuple[str, str]) -> None:
    whole = drawn(ctx, scheduler=pair[1])
    start = {"last_step": 2, "leftover_noise": True}
    first = Denoise(num_inference_steps=4, seed=7, scheduler=pair[0], options=start).run(
        ctx,
        model=model(),
        latents=EmptyLatents(**SIZE).run(ctx, model=model()),
        conditioning=said(ctx, "a red cat"),
    )
    rest = {"first_step": 2, "add_noise": False}
    second = drawn(ctx, latents=first, scheduler=pair[1], options=rest)
    # Two schedulers agree but for the places of their timesteps; the same one is exact up to rounding.
    bound = 1e-4 if pair[0] == pair[1] else 0.5 * float(whole.std())
    assert float((second - whole).abs().mean()) < bound


def test_without_leftover_noise_the_last_step_ends_clean(ctx: RunContext) -> None:
    cut = drawn(ctx, scheduler="euler", options={"last_step": 1})
    left = drawn(ctx, scheduler="euler", options={"last_step": 1, "leftover_noise": True})
    scheduler = as_sd(model().load(ctx)).scheduler("euler")
    scheduler.set_timesteps(4)
    begin, end = (float(sigma) for sigma in scheduler.sigmas[:2])
    start = torch.randn(left.shape, generator=torch.Generator().manual_seed(7)) * scheduler.init_noise_sigma
    assert begin > end > 0
    # The step goes along one line from the first sigma to the second; a clean end lies on it at zero.
    assert torch.allclose(cut, start - begin * (start - left) / (begin - end), atol=1e-2)
    assert not torch.allclose(cut, left, atol=0.1)


def test_parts_that_are_none_are_refused_before_a_run() -> None:
    ports = {"model": model(), "latents": "x", "conditioning": "y"}
    for options, message in (
        ({"first_step": 9}, "no step left"),
        ({"first_step": 2, "last_step": 2}, "no step left"),
        ({"leftover_noise": True}, "last_step beside it"),
    ):
        found = Denoise(num_inference_steps=4, options=options).check(ports)
        assert any(message in str(fault) for fault in found), (options, found)


def test_seeds_go_up_to_64_bits(ctx: RunContext) -> None:
    assert not torch.equal(drawn(ctx, seed=2**64 - 1), drawn(ctx, seed=2**64 - 2))


def test_one_prompt_joined_alone_is_that_prompt(ctx: RunContext) -> None:
    plain = said(ctx, "a red cat")
    joined = JoinConditioning().run(ctx, positive=[plain], negative=[said(ctx, "bad")])
    assert torch.equal(drawn(ctx, joined), drawn(ctx, plain))


def test_two_equal_prompts_are_one(ctx: RunContext) -> None:
    plain = said(ctx, "a red cat")
    joined = JoinConditioning().run(ctx, positive=[plain, plain])
    assert torch.allclose(drawn(ctx, joined), drawn(ctx, plain), atol=1e-4)
    both = JoinConditioning().run(ctx, positive=[plain, said(ctx, "blue dog house")])
    assert not torch.allclose(drawn(ctx, both), drawn(ctx, plain), atol=1e-2)


def test_a_mask_and_a_range_keep_a_prompt_to_its_part(ctx: RunContext) -> None:
    one, two = said(ctx, "a red cat"), said(ctx, "blue dog house sky")
    left = PlaceConditioning().run(ctx, conditioning=two, mask=half())
    right = PlaceConditioning().run(ctx, conditioning=one, mask=Frames(1 - half().tensor))
    step = {"num_inference_steps": 1, "guidance_scale": 1.0}
    made = drawn(ctx, JoinConditioning().run(ctx, positive=[left, right]), **step)
    alone = [drawn(ctx, each, **step) for each in (one, two)]
    assert torch.allclose(made[..., :3], alone[0][..., :3], atol=1e-5)
    assert torch.allclose(made[..., 5:], alone[1][..., 5:], atol=1e-5)
    early = PlaceConditioning(end=0.5).run(ctx, conditioning=one)
    late = PlaceConditioning(start=0.5).run(ctx, conditioning=one)
    assert torch.allclose(
        drawn(ctx, JoinConditioning().run(ctx, positive=[early, late])), drawn(ctx, one), atol=1e-4
    )


def test_a_box_is_drawn_as_a_picture_of_its_own(ctx: RunContext) -> None:
    step = {"num_inference_steps": 1, "guidance_scale": 1.0}
    whole, part = said(ctx, "a red cat"), said(ctx, "blue dog house sky")
    box = PlaceConditioning(left=16, top=0, width=16, height=32, strength=50).run(ctx, conditioning=part)
    made = drawn(ctx, JoinConditioning().run(ctx, positive=[whole, box]), **step)
    plain = drawn(ctx, whole, **step)
    assert torch.allclose(made[..., :4], plain[..., :4], atol=1e-5)
    assert float((made[..., 4:] - plain[..., 4:]).abs().mean()) > 10 * float(
        (made - plain)[..., :4].abs().max()
    )
    shares = PlaceConditioning(left=0.5, top=0, width=0.5, height=1, unit="shares", strength=50)
    same = JoinConditioning().run(ctx, positive=[whole, shares.run(ctx, conditioning=part)])
    assert torch.equal(drawn(ctx, same, **step), made)


def test_a_control_acts_on_all_prompts_but_not_beside_a_box(ctx: RunContext) -> None:
    owner, plain = controlled(), said(ctx, "a red cat")
    latents = EmptyLatents(**SIZE).run(ctx, model=owner)
    operator = Denoise(num_inference_steps=2, seed=7, controlnets=("lines",))
    joined = JoinConditioning().run(ctx, positive=[plain, plain])

    def run(conditioning: Conditioning) -> Latents:
        return operator.run(ctx, model=owner, latents=latents, conditioning=conditioning, control=[clip(1)])

    assert torch.allclose(run(joined).tensor, run(plain).tensor, atol=1e-4)
    box = PlaceConditioning(left=0, top=0, width=16, height=16).run(ctx, conditioning=plain)
    with pytest.raises(RequestError, match="a box of a prompt beside a control"):
        run(JoinConditioning().run(ctx, positive=[plain, box]))


def test_states_are_averaged_concatenated_and_zeroed(ctx: RunContext) -> None:
    one, two = said(ctx, "a red cat"), said(ctx, "blue dog")
    average = MixConditioning(share=0.25).run(ctx, conditioning=one, other=two)
    assert torch.allclose(
        average.tensors["prompt"], 0.25 * one.tensors["prompt"] + 0.75 * two.tensors["prompt"]
    )
    concat = MixConditioning(mode="concat").run(ctx, conditioning=one, other=two)
    assert concat.tensors["prompt"].shape[1] == 154
    assert drawn(ctx, concat).isfinite().all()
    zero = MixConditioning(mode="zero").run(ctx, conditioning=one)
    assert not zero.tensors["prompt"].any()
    long = said(ctx, " ".join(["sky"] * 90))
    short = MixConditioning(share=0.5).run(ctx, conditioning=long, other=two)
    assert torch.allclose(short.tensors["prompt"][:, 77:], long.tensors["prompt"][:, 77:] / 2)


def test_prompts_of_other_families_and_half_boxes_are_refused(ctx: RunContext) -> None:
    foreign = Conditioning("diffusers", {"text0": torch.zeros(1)}, {"calls": {}})
    with pytest.raises(RequestError, match="holds one prompt as its own encoder made it"):
        PlaceConditioning(strength=2).run(ctx, conditioning=foreign)
    with pytest.raises(RequestError, match="expected prompts of one family, given diffusers, sd"):
        JoinConditioning().run(ctx, positive=[said(ctx, "a"), foreign])
    assert "half a box" in str(PlaceConditioning(left=1).check({})[0])
    assert "beside a box" in str(
        PlaceConditioning(left=1, top=1, width=8, height=8).check({"mask": object()})[0]
    )
    assert "of no box" in str(PlaceConditioning(unit="shares").check({})[0])
    assert "for mode zero" in str(MixConditioning(mode="zero").check({"other": object()})[0])
