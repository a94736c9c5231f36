import pytest
import torch

from flowsynth.functional.picture.composite import over, to_channels, with_mask


def picture(channels: int, height: int, width: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shown", [1, 3, 4])
def test_an_opaque_picture_replaces_its_place_only(channels: int, shown: int) -> None:
    base, small = picture(channels, 9, 11), picture(shown, 4, 5, seed=2)
    if shown == 4:
        small[:, 3] = 1
    out = over(base, small, 2, 3)
    expected = to_channels(small, channels)
    assert torch.allclose(out[..., 2:6, 3:8], expected, atol=1e-6)
    out[..., 2:6, 3:8] = base[..., 2:6, 3:8]
    assert torch.equal(out, base)


def test_alpha_and_opacity_multiply() -> None:
    base, small = torch.zeros(1, 3, 4, 4), torch.ones(1, 4, 4, 4)
    small[:, 3] = 0.5
    assert torch.equal(over(base, small, 0, 0, 0.5), torch.full((1, 3, 4, 4), 0.25))


def test_over_on_alpha_is_porter_and_duff() -> None:
    base, small = picture(4, 3, 3), picture(4, 3, 3, seed=2)
    out = over(base, small, 0, 0)
    a, b = small[:, 3:], base[:, 3:]
    assert torch.allclose(out[:, 3:], a + b - a * b, atol=1e-6)
    assert torch.allclose(out[:, :3] * out[:, 3:], small[:, :3] * a + base[:, :3] * b * (1 - a), atol=1e-6)
    nothing = torch.zeros(1, 4, 3, 3)
    assert torch.equal(over(nothing, nothing, 0, 0), nothing)


def test_what_leaves_the_frame_is_cut() -> None:
    base, small = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    assert over(base, small, -2, 3).sum() == 1
    assert over(base, small, 2, -1).sum() == 4
    assert torch.equal(over(base, small, 4, 0), base)
    assert torch.equal(over(base, small, -3, -3), base)


def test_a_mask_shows_the_very_pixels_at_its_ends() -> None:
    base, other = picture(3, 4, 6), picture(3, 4, 6, seed=2)
    mask = torch.tensor([0.0, 0.0, 0.25, 0.5, 1.0, 1.0]).expand(1, 1, 4, 6)
    out = with_mask(base, other, mask)
    assert torch.equal(out[..., :2], base[..., :2])
    assert torch.equal(out[..., 4:], other[..., 4:])
    assert torch.allclose(out[..., 2], 0.75 * base[..., 2] + 0.25 * other[..., 2], atol=1e-6)
