"""Motion modules as published, against an implementation by the paper that shares no code with diffusers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.models import ModelManager
from flowsynth.models.diffusion.motion import normalise_frames
from flowsynth.models.parse import parse_model
from tests.tiny import as_sd, tiny_sd

HEADS, GROUPS = 2, 4


@pytest.fixture
def module() -> torch.nn.Module:
    from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D

    torch.manual_seed(0)
    made: torch.nn.Module = AnimateDiffTransformer3D(
        num_attention_heads=HEADS, attention_head_dim=4, in_channels=8, norm_num_groups=GROUPS,
        cross_attention_dim=None, activation_fn="geglu", attention_bias=False,
        positional_embeddings="sinusoidal", num_positional_embeddings=32,
    )  # fmt: skip
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def published(state: dict[str, Tensor], x_BTCHW: Tensor) -> Tensor:
    """The temporal transformer of arXiv 2307.04725, by its text: frames are normalised one by one."""
    batch, frames, channels, height, width = x_BTCHW.shape
    flat = x_BTCHW.reshape(-1, channels, height, width)
    normed = F.group_norm(flat, GROUPS, state["norm.weight"], state["norm.bias"], 1e-6)
    places = normed.view(batch, frames, channels, height, width).permute(0, 3, 4, 1, 2)
    h = F.linear(places.reshape(-1, frames, channels), state["proj_in.weight"], state["proj_in.bias"])
    block = {
        k.removeprefix("transformer_blocks.0."): v for k, v in state.items() if k.startswith("transformer")
    }
    for i in (1, 2):
        normed = F.layer_norm(h, h.shape[-1:], block[f"norm{i}.weight"], block[f"norm{i}.bias"])
        h = h + attention(block, f"attn{i}", normed + positions(frames, h.shape[-1]))
    normed = F.layer_norm(h, h.shape[-1:], block["norm3.weight"], block["norm3.bias"])
    value, gate = F.linear(normed, block["ff.net.0.proj.weight"], block["ff.net.0.proj.bias"]).chunk(2, -1)
    h = h + F.linear(value * F.gelu(gate), block["ff.net.2.weight"], block["ff.net.2.bias"])
    out = F.linear(h, state["proj_out.weight"], state["proj_out.bias"])
    return out.view(batch, height, width, frames, channels).permute(0, 3, 4, 1, 2) + x_BTCHW


def positions(frames: int, width: int) -> Tensor:
    """Sines in even columns, cosines in odd ones ("Attention Is All You Need", section 3.5)."""
    angles = torch.arange(frames)[:, None] * torch.exp(
        torch.arange(0, width, 2) * (-math.log(10000.0) / width)
    )
    table = torch.zeros(frames, width)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table


def attention(block: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    q, k, v = (F.linear(x, block[f"{name}.to_{part}.weight"]) for part in "qkv")
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
    mixed = ((q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])).softmax(-1) @ v
    return F.linear(
        mixed.transpose(1, 2).flatten(-2), block[f"{name}.to_out.0.weight"], block[f"{name}.to_out.0.bias"]
    )


def test_frames_by_themselves_are_the_published_module(module: torch.nn.Module) -> None:
    x = torch.randn(2, 5, 8, 6, 4, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 6).view(
        1, 5, 1, 1, 1
    )
    expected = published(dict(module.state_dict()), x)
    with torch.no_grad():
        together = module(x.flatten(0, 1), num_frames=5).view_as(x)
        normalise_frames(torch.nn.ModuleList([module]))
        apart = module(x.flatten(0, 1), num_frames=5).view_as(x)
    torch.testing.assert_close(apart, expected, atol=1e-5, rtol=1e-5)
    assert (together - expected).abs().max() > 0.1, "the two ways must differ, or this test shows nothing"


def test_a_still_of_one_frame_does_not_change(module: torch.nn.Module) -> None:
    x = torch.randn(1, 8, 6, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = module(x, num_frames=1)
        normalise_frames(torch.nn.ModuleList([module]))
        torch.testing.assert_close(module(x, num_frames=1), before)


def test_the_model_s_declaration_acts() -> None:
    folder = tiny_sd()
    base = {"family": "sd", "source": str(folder / "base"), "motion": str(folder / "motion_adapter")}
    manager = ModelManager()
    nets = {
        norm: as_sd(manager.load(parse_model("m", {**base, "motion_norm": norm}))).unet
        for norm in ("clip", "frame")
    }
    kinds = {norm: {type(m).__name__ for m in net.modules()} for norm, net in nets.items()}
    assert "FrameGroupNorm" in kinds["frame"]
    assert "FrameGroupNorm" not in kinds["clip"]
