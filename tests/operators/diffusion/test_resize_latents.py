"""Latents of another size: what the methods keep, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.resize_grid import slerp
from flowsynth.operators.diffusion.resize_latents import ResizeLatents
from flowsynth.values import Latents


def latents(frames: int = 2) -> Latents:
    data = torch.randn(frames, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    return Latents(data, None, "sd/f4c4", 24, 32)


def resized(**params: Any) -> Latents:
    return ResizeLatents(**params).run(RunContext(), latents=latents())


def test_sizes_are_of_the_decoded_frames() -> None:
    assert resized(factor=1.5).tensor.shape == (2, 4, 9, 12)
    made = resized(width=48)
    assert (made.height, made.width, made.tensor.shape) == (36, 48, (2, 4, 9, 12))
    made = resized(width=30, height=22)
    assert (made.height, made.width, made.tensor.shape) == (22, 30, (2, 4, 6, 8))


@pytest.mark.parametrize(("method", "theirs"), [("nearest", "nearest-exact"), ("bilinear", "bilinear")])
def test_torch_s_filters_are_meant(method: str, theirs: str) -> None:
    expected = F.interpolate(latents().tensor, size=(12, 16), mode=theirs)
    assert torch.equal(resized(factor=2, method=method).tensor, expected)


def test_slerp_keeps_the_length_of_vectors_where_bilinear_shortens_them() -> None:
    lengths = {m: float(resized(factor=2, method=m).tensor.norm(dim=1).mean()) for m in ("slerp", "bilinear")}
    own = float(latents().tensor.norm(dim=1).mean())
    assert abs(lengths["slerp"] - own) < 0.02 * own < own - lengths["bilinear"]
    one, two = torch.tensor([[1.0], [0.0]])[None], torch.tensor([[0.0], [1.0]])[None]
    middle = slerp(one, two, torch.tensor(0.5))
    assert torch.allclose(middle.flatten(), torch.full((2,), 0.5**0.5))
    assert torch.allclose(slerp(one, one * 3, torch.tensor(0.5)), one * 2)  # parallel


def test_what_is_no_grid_of_pictures_is_refused() -> None:
    empty = Latents(torch.zeros(1, 4, 6, 8), None, "sd", 24, 32, empty=True)
    with pytest.raises(RequestError, match="these latents are empty"):
        ResizeLatents(factor=2).run(RunContext(), latents=empty)
    moving = Latents(torch.zeros(3, 16, 6, 8), None, "wan", 48, 64, frames=9)
    with pytest.raises(RequestError, match="given latents of a clip"):
        ResizeLatents(factor=2).run(RunContext(), latents=moving)
    assert "no size" in str(ResizeLatents().check({})[0])
    assert "several sizes" in str(ResizeLatents(factor=2, width=64).check({})[0])
