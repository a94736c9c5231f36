import pytest
import torch

from flowsynth.functional.motion.color_match import describe, match, sample
from flowsynth.functional.picture.oklab import oklab_to_rgb, rgb_to_oklab

METHODS = ["mean_std", "transport", "histogram"]


def picture(seed: int, height: int = 40, width: int = 50) -> torch.Tensor:
    """Correlated colours with some spread."""
    generator = torch.Generator().manual_seed(seed)
    mix = 0.1 * torch.randn(3, 3, generator=generator)
    noise = torch.randn(3, height * width, generator=generator).clamp(-2, 2)
    centre = 0.3 + 0.3 * torch.rand(3, 1, generator=generator)
    return (centre + mix @ noise).clamp(0.02, 0.98).view(3, height, width)


def test_oklab_has_the_published_values_and_turns_back() -> None:
    # Values of the publication's table of CIE XYZ pairs, through sRGB's primaries.
    colours = torch.tensor(
        [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    )
    expected = torch.tensor(
        [
            [1.0, 0.0, 0.0],
            [0.62796, 0.22486, 0.12585],
            [0.86644, -0.23389, 0.17950],
            [0.45201, -0.03246, -0.31153],
            [0.0, 0.0, 0.0],
        ]
    )
    lab = rgb_to_oklab(colours.T[..., None])[..., 0].T
    assert torch.allclose(lab, expected, atol=2e-4)
    x = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(oklab_to_rgb(rgb_to_oklab(x)), x, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_description_becomes_the_targets(method: str) -> None:
    a, b = picture(1), picture(2)
    own, target = (describe(x.flatten(1), method) for x in (a, b))  # type: ignore[arg-type]
    reached = describe(match(a, own, target, method).flatten(1), method)  # type: ignore[arg-type]
    assert (reached - target).abs().mean() < 0.01 * (own - target).abs().mean()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_description_changes_nothing(method: str) -> None:
    a = picture(1)
    own = describe(a.flatten(1), method)  # type: ignore[arg-type]
    assert torch.allclose(match(a, own, own, method), a, atol=2e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["mean_std", "transport"])
def test_noise_in_flat_pictures_is_not_lifted(method: str) -> None:
    flat = 0.5 + 0.001 * (picture(1) - 0.5)
    own, target = (describe(x.flatten(1), method) for x in (flat, picture(2)))  # type: ignore[arg-type]
    out = match(flat, own, target, method)  # type: ignore[arg-type]
    assert out.flatten(1).std(1).max() <= 4.1 * flat.flatten(1).std(1).max()
    assert torch.allclose(out.mean((1, 2)), picture(2).mean((1, 2)), atol=1e-4)


def test_samples_are_spread_and_few() -> None:
    big = torch.rand(3, 1500, 1600, generator=torch.Generator().manual_seed(1))
    taken = sample([big, picture(1)])
    assert taken.shape[0] == 3
    assert 3e5 < taken.shape[1] <= 1 << 20
    small = picture(1)
    assert torch.equal(sample([small]), small.flatten(1))
