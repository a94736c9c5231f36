"""Deflicker inside the denoising loop: flicker falls, pictures stay, and mistakes are named."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.models import Model, parse_model
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.measure.measure import Measure
from flowsynth.values import Frames, Latents
from tests.tiny import tiny_sd

INDEPENDENT = {"noise": "independent"}
PICTURE = files("flowsynth") / "assets" / "pictures" / "astronaut.jpg"


def pocket() -> Model:
    return Model(parse_model("pocket", {"family": "sd", "source": "shipped:pocket"}))


def tiny(**extra: Any) -> Model:
    return Model(parse_model("tiny", {"family": "sd", "source": str(tiny_sd() / "base"), **extra}))


def pan(length: int, height: int, width: int) -> Frames:
    """A clip that moves over a photograph, 2 pixels a frame."""
    with PICTURE.open("rb") as file:
        picture = np.asarray(Image.open(file).convert("RGB").resize((160, 160)))
    data = torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
    parts = [data[:, 10 : 10 + height, 20 + 2 * t : 20 + 2 * t + width] for t in range(length)]
    return Frames(torch.stack(parts), Fraction(12))


def redrawn(
    ctx: RunContext, owner: Model, source: Frames, guide: Frames | None = None, **params: Any
) -> Frames:
    """The source, encoded, denoised with noise of its own for every frame, and decoded."""
    latents = VaeEncode().run(ctx, model=owner, frames=source)
    done = denoised(ctx, owner, latents, guide, strength=0.5, options=INDEPENDENT, **params)
    return VaeDecode().run(ctx, model=owner, latents=done)


def denoised(
    ctx: RunContext, owner: Model, latents: Latents, guide: Frames | None = None, **params: Any
) -> Latents:
    text = TextEncode(prompt="toon").run(ctx, model=owner)
    operator = Denoise(**{"num_inference_steps": 6, "guidance_scale": 1.0, "seed": 3, **params})
    return operator.run(ctx, model=owner, latents=latents, conditioning=text, guide=guide)


def figures(clip: Frames, source: Frames) -> dict[str, float]:
    return Measure().run(RunContext(), frames=clip, reference=source).values


@pytest.mark.sample(1)
@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
@pytest.mark.parametrize(
    ("method", "scheduler"), [("flow", None), ("flow", "euler"), ("fastblend", None)], ids=str
)
def test_flicker_of_a_real_model_falls_and_the_picture_stays(
    ctx: RunContext, method: str, scheduler: str | None
) -> None:
    source = pan(4, 40, 48)
    plain = figures(redrawn(ctx, pocket(), source, scheduler=scheduler), source)
    made = redrawn(
        ctx,
        pocket(),
        source,
        source,
        scheduler=scheduler,
        deflicker=(0, 1, 2),
        deflicker_method=method,
        deflicker_radius=3,
        deflicker_detail=0,
    )
    calm = figures(made, source)
    assert calm["flicker"] < 0.1 * plain["flicker"]
    assert calm["warping_error"] < 0.1 * plain["warping_error"]
    assert calm["psnr"] > plain["psnr"] + 0.5


def test_a_single_frame_is_left_alone_bit_for_bit(ctx: RunContext) -> None:
    source = pan(1, 32, 40)
    assert torch.equal(
        redrawn(ctx, pocket(), source, deflicker=(0, 2)).tensor, redrawn(ctx, pocket(), source).tensor
    )


def test_sizes_that_the_autoencoder_pads_take_a_guide(ctx: RunContext) -> None:
    source = pan(3, 33, 38)
    made = redrawn(ctx, pocket(), source, source, deflicker=(2,), deflicker_method="flow")
    assert made.tensor.shape == source.tensor.shape
    assert made.tensor.isfinite().all()
    assert not torch.equal(made.tensor, redrawn(ctx, pocket(), source).tensor)


@pytest.mark.sample(1)
@pytest.mark.parametrize("motion", [False, True])
def test_motion_modules_windows_and_noise_schedules(ctx: RunContext, motion: bool) -> None:
    owner = tiny(motion=str(tiny_sd() / "motion_adapter")) if motion else tiny()
    latents = EmptyLatents(height=32, width=32, num_frames=4).run(ctx, model=owner)
    params: dict[str, Any] = {"num_inference_steps": 4, "window": 3, "stride": 2, "options": INDEPENDENT}
    plain = denoised(ctx, owner, latents, **params)
    made = denoised(ctx, owner, latents, **params, deflicker=(2,), deflicker_radius=1)
    again = denoised(ctx, owner, latents, **params, deflicker=(2,), deflicker_radius=1)
    assert made.tensor.shape == plain.tensor.shape
    assert torch.equal(made.tensor, again.tensor)
    assert not torch.equal(made.tensor, plain.tensor)
    assert torch.equal(made.tensor.isfinite(), plain.tensor.isfinite())


def test_mistakes_are_named(ctx: RunContext) -> None:
    assert [f.path for f in Denoise().check({"guide": None})] == ["inputs.guide"]
    model = {"family": "sd", "source": "shipped:pocket"}
    faults = Denoise(num_inference_steps=20, deflicker=(4, 20)).check({"model": model, "conditioning": None})
    (fault,) = [fault for fault in faults if fault.path == "params.deflicker"]
    assert str(fault) == (
        "params.deflicker: no such step; expected 0 to 19, as num_inference_steps says; given 20"
    )
    source = pan(2, 32, 32)
    with pytest.raises(RequestError, match="deflicker at step 3, but 3 steps run; expected 0 to 2"):
        redrawn(ctx, pocket(), source, deflicker=(3,))
    with pytest.raises(RequestError, match="the guide is 36x32; expected the frames' 32x32"):
        redrawn(ctx, pocket(), source, pan(2, 32, 36), deflicker=(2,))
    with pytest.raises(RequestError, match="the guide has 3 frames; expected 2 as the latents"):
        redrawn(ctx, pocket(), source, pan(3, 32, 32), deflicker=(2,))


def test_every_choice_is_part_of_the_key() -> None:
    base = Denoise(deflicker=(3,))
    others = [
        Denoise(),
        Denoise(deflicker=(2,)),
        Denoise(deflicker=(3,), deflicker_method="flow"),
        Denoise(deflicker=(3,), deflicker_radius=4),
        Denoise(deflicker=(3,), deflicker_detail=0),
    ]
    keys = [str(one.key_params(())) for one in (base, *others)]
    assert len(set(keys)) == len(keys)
