from typing import Any

import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.layout import area
from flowsynth.operators.size.resize import Resize
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"height": 46}, (46, 62)),
        ({"width": 62}, (46, 62)),
        ({"short_side": 46}, (46, 62)),
        ({"factor": 0.5}, (12, 16)),
        ({"factor": 3}, (69, 93)),
        ({"long_side": 62}, (46, 62)),
        ({"height": 10, "width": 70}, (10, 70)),
        ({"height": 46, "width": 46, "mode": "fit"}, (34, 46)),
        ({"height": 46, "width": 46, "mode": "fill"}, (46, 46)),
        ({"height": 46, "width": 47, "mode": "pad", "background": "#f00"}, (46, 47)),
        ({"short_side": 23, "multiple_of": 8}, (24, 32)),
        ({"height": 1}, (1, 1)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_size_follows_the_parameters(
    params: dict[str, Any], size: tuple[int, int], channels: int
) -> None:
    clip = moving_clip(1, channels=channels)
    operator = Resize(**params)
    assert operator.check({}) == []
    out = operator.run(RunContext(), frames=clip)
    assert out.frame_shape == (channels, *size)
    assert (out.tensor.dtype, out.fps, out.kind) == (torch.uint8, clip.fps, clip.kind)


def test_the_size_it_has_costs_nothing() -> None:
    clip = moving_clip(2)
    assert Resize(height=23, width=31, mode="pad").run(RunContext(), frames=clip) is clip


def test_area_is_the_function(dtype: str) -> None:
    clip = moving_clip(5, dtype=dtype)
    out = Resize(width=11, method="area").run(RunContext(), frames=clip)
    expected = clip.like(torch.cat([area(f[None], (8, 11)) for f in clip.to_float()]))
    assert torch.equal(out.tensor, expected.tensor)
    chunked = run_by_chunks(Resize(width=11, method="area"), clip, 2)
    assert torch.equal(out.tensor, chunked.tensor)


def test_padding_has_the_colour() -> None:
    out = Resize(height=40, width=31, mode="pad", background="#ff8000").run(
        RunContext(), frames=moving_clip(1)
    )
    assert out.tensor[0, :, 0, 0].tolist() == [255, 128, 0]
    assert torch.equal(out.tensor[..., 8:31, :], moving_clip(1).tensor)


def test_mistakes_are_named() -> None:
    (fault,) = Resize().check({})
    assert "no size; expected height, width or both" in str(fault)
    (fault,) = Resize(height=3, long_side=4).check({})
    assert "several sizes" in str(fault)
    assert "given height, long_side" in str(fault)
    (fault,) = Resize(height=3, mode="pad").check({})
    assert "params.mode: without a box" in str(fault)
    with pytest.raises(ValidationError, match="expected a colour such as white or #ffcc00, given 'blak'"):
        Resize(height=3, background="blak")
    with pytest.raises(RequestError, match="31x23 would become 22083x16384; at most 16384"):
        Resize(height=16384).run(RunContext(), frames=moving_clip(1))
