"""Masks made out of frames, and what is done with them: take_mask, fill, invert."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.reach import grown
from flowsynth.operators.picture.fill import Fill
from flowsynth.operators.picture.invert import Invert
from flowsynth.operators.picture.take_mask import TakeMask
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


def dot(size: int = 9) -> Frames:
    data = torch.zeros(1, 1, size, size)
    data[..., size // 2, size // 2] = 1
    return Frames(data)


def test_a_channel_is_taken_and_turned_around(dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype, channels=4)
    out = TakeMask(channel="alpha", invert=True).run(RunContext(), frames=clip)
    assert out.frame_shape[0] == 1
    assert torch.equal(out.tensor, clip.like(1 - clip.to_float()[:, 3:]).tensor)
    chunked = run_by_chunks(TakeMask(channel="alpha", invert=True), clip, 2)
    assert torch.equal(chunked.tensor, out.tensor)
    with pytest.raises(RequestError, match="3 channels, none of alpha"):
        TakeMask(channel="alpha").run(RunContext(), frames=moving_clip(1))


def test_white_grows_as_a_square_or_a_diamond_and_shrinks_again() -> None:
    square = TakeMask(grow=2).run(RunContext(), frames=dot()).tensor
    diamond = TakeMask(grow=2, taper=True).run(RunContext(), frames=dot()).tensor
    assert (int(square.sum()), int(diamond.sum())) == (25, 13)
    assert torch.equal(grown(square, -2), dot().tensor)
    assert torch.equal(grown(diamond, -2, taper=True), dot().tensor)


def test_a_threshold_comes_before_growth_and_softness_after() -> None:
    half = Frames(dot().tensor * 0.6)
    assert set(TakeMask(threshold=0.5).run(RunContext(), frames=half).tensor.unique().tolist()) == {0.0, 1.0}
    assert not TakeMask(threshold=0.7, grow=3).run(RunContext(), frames=half).tensor.any()
    soft = TakeMask(threshold=0.5, grow=1, soften=1.0).run(RunContext(), frames=half).tensor
    assert 0 < float(soft.max()) < 1
    (fault,) = TakeMask(taper=True).check({})
    assert "nothing grows" in str(fault)
    with pytest.raises(ValidationError):
        TakeMask(threshold=0)


def test_a_colour_is_painted_where_a_mask_is_white_and_nowhere_else(dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype)
    mask = torch.zeros(1, 1, *clip.frame_shape[1:])
    mask[..., :5, :] = 1
    out = Fill(color="#ff0000").run(RunContext(), frames=clip, mask=Frames(mask)).to_float()
    assert torch.equal(
        out[..., :5, :], torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(3, 3, 5, clip.width)
    )
    assert torch.equal(out[..., 5:, :], clip.to_float()[..., 5:, :])
    with pytest.raises(RequestError, match="mask: expected 1 frame or as many as frames has, 3; given 2"):
        Fill().run(RunContext(), frames=clip, mask=Frames(mask.repeat(2, 1, 1, 1)))


def test_the_negative_of_the_negative_is_the_frame(dtype: str) -> None:
    for channels in (1, 3, 4):
        clip = moving_clip(2, dtype=dtype, channels=channels)
        once = Invert().run(RunContext(), frames=clip)
        assert torch.allclose(once.to_float()[:, :3], 1 - clip.to_float()[:, :3], atol=1e-3)
        assert torch.equal(once.tensor[:, 3:], clip.tensor[:, 3:])
        again = Invert().run(RunContext(), frames=once).to_float()
        assert torch.allclose(again, clip.to_float(), atol=1e-3)
