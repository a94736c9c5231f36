import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from flowsynth.functional.picture.blur import gaussian_blur, gaussian_kernel, pad_axis


def test_kernel_sums_to_one_and_is_symmetric() -> None:
    weights = gaussian_kernel(1.7)
    assert sum(weights) == pytest.approx(1)
    assert weights == weights[::-1]
    assert len(weights) == 2 * 6 + 1


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_kernel_refuses_a_meaningless_sigma(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be"):
        gaussian_kernel(sigma)


@pytest.mark.parametrize(("border", "mode"), [("reflect", "mirror"), ("replicate", "nearest")])
@pytest.mark.parametrize("sigma", [0.6, 2.0, 9.0])
def test_blur_agrees_with_scipy(border: str, mode: str, sigma: float, generator: torch.Generator) -> None:
    x = torch.rand(21, 17, generator=generator)
    radius = len(gaussian_kernel(sigma)) // 2
    expected = ndimage.gaussian_filter(x.numpy(), sigma, mode=mode, radius=radius)
    ours = gaussian_blur(x, sigma, border)  # type: ignore[arg-type]
    torch.testing.assert_close(ours, torch.from_numpy(expected), atol=2e-6, rtol=0)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    sigma=st.floats(0.0, 12.0),
    border=st.sampled_from(["reflect", "replicate"]),
)
def test_a_constant_stays_constant_at_any_size(height: int, width: int, sigma: float, border: str) -> None:
    x = torch.full((2, 3, height, width), 0.3)
    torch.testing.assert_close(gaussian_blur(x, sigma, border), x)  # type: ignore[arg-type]


def test_a_frame_does_not_depend_on_its_batch(generator: torch.Generator) -> None:
    x = torch.rand(5, 3, 33, 47, generator=generator)
    assert torch.equal(gaussian_blur(x, 2.0)[2:3], gaussian_blur(x[2:3], 2.0))


def test_reflection_folds_as_often_as_needed() -> None:
    assert pad_axis(torch.tensor([1, 2, 3]), 0, 5, 4).tolist() == [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]
    assert pad_axis(torch.tensor([1, 2, 3]), 0, 2, 2, "replicate").tolist() == [1, 1, 1, 2, 3, 3, 3]
