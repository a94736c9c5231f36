import torch

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.functional.picture.tone import adjust, unsharp


def picture(channels: int) -> torch.Tensor:
    return torch.rand(1, channels, 9, 11, generator=torch.Generator().manual_seed(1))


def test_nothing_asked_changes_nothing() -> None:
    for channels in (1, 3, 4):
        x = picture(channels)
        assert torch.equal(adjust(x), x)
        assert torch.equal(unsharp(x, sigma=1.0, amount=0.0), x)


def test_each_setting_does_what_its_formula_says() -> None:
    x = picture(3)
    assert torch.allclose(adjust(x, contrast=2), 2 * x - 0.5)
    assert torch.allclose(adjust(x, brightness=0.25), x + 0.25)
    assert torch.allclose(adjust(x, gamma=2), x.sqrt())
    grey = adjust(x, saturation=0)
    assert torch.allclose(grey, luma(x).expand_as(x), atol=1e-6)
    assert torch.allclose(luma(adjust(x, saturation=3)), luma(x), atol=1e-6)


def test_alpha_and_grey() -> None:
    x = picture(4)
    out = adjust(x, contrast=3, brightness=0.1, saturation=2, gamma=0.5)
    assert torch.equal(out[:, 3:], x[:, 3:])
    assert torch.equal(unsharp(x, sigma=2.0, amount=2.0)[:, 3:], x[:, 3:])
    one = picture(1)
    assert torch.equal(adjust(one, saturation=4), one)


def test_the_mask_adds_what_the_blur_takes() -> None:
    x = picture(3)
    by_channel = unsharp(x, sigma=1.5, amount=0.7, colour=True)
    assert torch.allclose(by_channel, x + 0.7 * (x - gaussian_blur(x, 1.5)), atol=1e-6)
    by_luma = unsharp(x, sigma=1.5, amount=0.7)
    assert torch.allclose((by_luma - x).diff(dim=-3), torch.zeros(1, 2, 9, 11), atol=1e-6)


def test_a_threshold_leaves_noise_alone_and_is_soft() -> None:
    step = torch.zeros(1, 1, 8, 16)
    step[..., 8:] = 1.0
    noisy = step + 0.01 * (picture(1)[..., :8, :1] - 0.5)
    out = unsharp(noisy, sigma=1.0, amount=1.0, threshold=0.1)
    assert torch.equal(out[..., :4], noisy[..., :4])
    assert out[..., 8].mean() > noisy[..., 8].mean() + 0.1
