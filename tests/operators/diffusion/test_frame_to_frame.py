"""Each frame drawn from the result of the one before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Span
from flowsynth.functional.motion.optical_flow import warp
from flowsynth.models import Model, parse_model
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.frame_to_frame import FrameToFrame
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.motion.optical_flow import OpticalFlow
from flowsynth.values import Conditioning, Flow, Frames, Mask
from tests.models.families.diffusers.call import build
from tests.models.families.diffusers.zoo import pictures
from tests.models.families.diffusers.zoo.case import CASES
from tests.pocket.conftest import Pocket, pocket
from tests.tiny import tiny_sd

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["pictures", "pocket"]

CTX = RunContext()
SMALL: dict[str, Any] = {"num_inference_steps": 2, "strength": 0.5, "seed": 3}


def tiny() -> tuple[Model, Conditioning]:
    model = Model(parse_model("m", {"family": "sd", "source": str(tiny_sd() / "base")}))
    return model, TextEncode(prompt="a cat").run(CTX, model=model)


def clip(count: int = 5, side: int = 32) -> Frames:
    """A texture that moves two pixels a frame."""
    wide = torch.rand(1, 3, side, side + 2 * count, generator=torch.Generator().manual_seed(0))
    soft = torch.nn.functional.avg_pool2d(wide, 5, 1, 2)
    frames = [soft[..., 2 * i : 2 * i + side] for i in range(count)]
    return Frames((torch.cat(frames) * 255).to(torch.uint8), 8)


def motion(count: int, side: int = 32, hidden: float = 0.0) -> tuple[Flow, Mask]:
    """Its flow to the frame before, and what of it is hidden there: nothing but the first frame."""
    flow = torch.zeros(count, 2, side, side)
    flow[1:, 0] = 2
    mask = torch.full((count, 1, side, side), hidden)
    mask[0] = 1
    return Flow(flow, Fraction(8)), Mask(mask, Fraction(8))


def drawn(frames: Frames, flow: Flow, occlusion: Mask, **params: Any) -> torch.Tensor:
    model, text = tiny()
    operator = FrameToFrame(**{**SMALL, **params})
    return operator.run(
        CTX, model=model, frames=frames, flow=flow, occlusion=occlusion, conditioning=text
    ).tensor


def alone(frame: Frames, strength: float = 0.5) -> torch.Tensor:
    model, text = tiny()
    latents = VaeEncode().run(CTX, frames=frame, model=model)
    denoise = Denoise(num_inference_steps=2, strength=strength, seed=3)
    made = denoise.run(CTX, model=model, latents=latents, conditioning=text)
    return VaeDecode().run(CTX, latents=made, model=model).tensor


def test_where_nothing_was_seen_before_frames_are_drawn_by_themselves() -> None:
    frames = clip(3)
    flow, occlusion = motion(3, hidden=1.0)
    made = drawn(frames, flow, occlusion)
    for i in range(3):
        assert torch.equal(made[i : i + 1], alone(frames.slice(i, i + 1)))
    assert torch.equal(drawn(frames, *motion(3), fresh=1.0), made)


def test_a_frame_is_drawn_from_the_one_before_as_it_moved() -> None:
    """One step by hand: warped, a share of the own frame, drawn."""
    frames = clip(2)
    flow, occlusion = motion(2)
    made = drawn(frames, flow, occlusion, fresh=0.25, first_strength=1.0)
    first = Frames(alone(frames.slice(0, 1), 1.0), 8)
    assert torch.equal(made[:1], first.tensor)
    model, text = tiny()
    latents = VaeEncode().run(CTX, frames=frames.slice(0, 1), model=model)
    begun = Denoise(num_inference_steps=2, strength=1.0, seed=3)
    latents = begun.run(CTX, model=model, latents=latents, conditioning=text)
    before = VaeDecode(dtype="float32").run(CTX, latents=latents, model=model).tensor
    own = frames.slice(1, 2).to_float()
    start = own + 0.75 * (warp(before, flow.tensor[1:]) - own)
    assert (made[1:].int() - alone(Frames(start)).int()).abs().max() <= 1


def test_chunks_give_the_whole_and_what_is_hidden_comes_from_the_frames() -> None:
    frames = clip(5)
    flow, occlusion = motion(5)
    whole = drawn(frames, flow, occlusion, take="change")
    model, text = tiny()
    operator, state, parts = FrameToFrame(**SMALL, take="change"), None, []
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        ctx = RunContext(span=Span(start, stop, 5), state=state)
        given = {"frames": frames, "flow": flow, "occlusion": occlusion}
        cut = {name: value.slice(start, stop) for name, value in given.items()}
        parts.append(operator.run(ctx, model=model, conditioning=text, **cut).tensor)  # type: ignore[arg-type]
        state = ctx.state
    assert torch.equal(torch.cat(parts), whole)
    half = occlusion.tensor.clone()
    half[..., :16] = 1
    other = drawn(frames, flow, Mask(half, Fraction(8)), take="change", strength=0.0)
    assert torch.equal(other[2][..., :14], frames.tensor[2][..., :14])
    assert not torch.equal(other[2][..., 18:], frames.tensor[2][..., 18:])


def test_a_pipeline_that_starts_from_a_picture_draws_too(tmp_path: Path) -> None:
    case = CASES["StableDiffusionXLImg2ImgPipeline"]
    build(case, tmp_path / "model")
    model = Model(parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model")}))
    text = TextEncode(prompt="a cat").run(CTX, model=model)
    flow, occlusion = motion(2)
    given: dict[str, Any] = {"flow": flow, "occlusion": occlusion, "conditioning": text, "model": model}
    made = FrameToFrame(**SMALL).run(CTX, frames=clip(2), **given)
    assert made.tensor.shape == (2, 3, 32, 32)
    assert not torch.equal(made.tensor, clip(2).tensor)
    faults = FrameToFrame(**SMALL, take="change").check({"model": model, "conditioning": text})
    assert [fault.path for fault in faults] == ["params.take"]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    model, _ = tiny()
    travelling = TextEncode(prompt={0: "a", 4: "b"})
    faults = FrameToFrame().check({"model": model, "conditioning": travelling})
    assert [fault.path for fault in faults] == ["inputs.conditioning"]
    flow, occlusion = motion(3)
    with pytest.raises(RequestError, match="must agree in length"):
        drawn(clip(2), flow, occlusion)
    build(CASES["StableDiffusionXLPipeline"], tmp_path / "model")
    other = Model(parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model")}))
    paths = {fault.path for fault in FrameToFrame().check({"model": other, "conditioning": "text"})}
    assert {"inputs.model", "params.strength"} == paths


def test_what_flickers_comes_through_by_the_fresh_share_only(pocket: Pocket) -> None:
    """Frames that flicker, redrawn with what the frame before showed and without it."""
    frames = clip(5, 64)
    noise = 0.08 * torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    flickering = Frames((frames.to_float() + noise).clamp(0, 1), 8)
    found = OpticalFlow(direction="previous").run(CTX, frames=frames)
    model = pocket.model(controlnets={})
    text = TextEncode(prompt="oil painting").run(pocket.ctx, model=model)
    numbers: dict[str, Any] = {"num_inference_steps": 5, "strength": 0.2, "guidance_scale": 1.0}

    def unrest(fresh: float) -> float:
        made = FrameToFrame(**numbers, fresh=fresh, take="change").run(
            pocket.ctx, model=model, frames=flickering, flow=found.flow, occlusion=found.occlusion,
            conditioning=text,
        ).to_float()  # fmt: skip
        moved = warp(made[:-1], found.flow.tensor[1:])
        return float(((made[1:] - moved).abs() * (1 - found.occlusion.tensor[1:])).mean())

    assert unrest(0.1) < 0.75 * unrest(1.0)
