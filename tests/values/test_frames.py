from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from flowsynth.values.frames import Frames, as_dtype, as_float


def test_every_byte_comes_back_through_floats() -> None:
    data = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    for dtype in ("float32", "float16"):
        kept = as_dtype(as_float(data), dtype)
        assert str(kept.dtype) == f"torch.{dtype}"
        assert torch.equal(as_dtype(as_float(kept), "uint8"), data)


def test_values_are_rounded_and_clamped() -> None:
    data = torch.tensor([-0.5, 0.49 / 255, 0.51 / 255, 1.0, 7.0])
    assert as_dtype(data, "uint8").tolist() == [0, 0, 1, 255, 255]
    assert as_dtype(data, "float32").tolist() == pytest.approx([0, 0.49 / 255, 0.51 / 255, 1, 1])
    assert data[0] == -0.5, "the given tensor stays"


def test_no_picture_shows_a_nan() -> None:
    for dtype in ("uint8", "float32"):
        with pytest.raises(ValueError, match="NaN"):
            as_dtype(torch.tensor([0.5, float("nan")]), dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_results_are_stored_as_their_source_was(dtype: str) -> None:
    clip = Frames(as_dtype(torch.rand(2, 3, 4, 4), dtype), 24, "canny")
    result = clip.like(1 - clip.to_float())
    assert (result.tensor.dtype, result.fps, result.kind) == (clip.tensor.dtype, Fraction(24), "canny")
    assert torch.allclose(result.to_float() + clip.to_float(), torch.ones(1), atol=1e-3)
    assert clip.to_float().dtype == torch.float32
