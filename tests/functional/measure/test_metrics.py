"""Metrics against a second implementation, and against faults of known size."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from flowsynth.functional.measure import metrics
from flowsynth.functional.motion.optical_flow import classical_flow, occlusion


def noisy(picture: Tensor, size: float) -> Tensor:
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(7))
    return (picture + size * noise).clamp(0, 1)


@pytest.mark.parametrize("size", [0.01, 0.1])
def test_psnr_and_ssim_agree_with_scikit_image(pictures: dict[str, Tensor], size: float) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a = pictures["astronaut"]
    b = noisy(a, size)
    x, y = (p[0].permute(1, 2, 0).double().numpy() for p in (a, b))
    assert metrics.psnr(float(metrics.mean_squared_error(a, b))) == pytest.approx(
        skimage.peak_signal_noise_ratio(x, y, data_range=1), abs=1e-6
    )
    expected = skimage.structural_similarity(
        x,
        y,
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        truncate=3.4,
        use_sample_covariance=False,
    )
    assert float(metrics.ssim(a, b)) == pytest.approx(float(np.mean(expected)), abs=1e-5)


def test_equal_pictures() -> None:
    picture = torch.rand(2, 3, 9, 14, generator=torch.Generator().manual_seed(0))
    assert metrics.psnr(float(metrics.mean_squared_error(picture, picture).mean())) == math.inf
    assert metrics.ssim(picture, picture).tolist() == pytest.approx([1, 1])


def pair(picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A pan by four pixels, with its estimated flow and occlusion."""
    a, b = picture[..., :-4], picture[..., 4:]
    forward, backward = classical_flow(a, b), classical_flow(b, a)
    return a, b, forward, occlusion(forward, backward)


def test_flicker_measures_a_change_of_brightness(pictures: dict[str, Tensor]) -> None:
    a, b, flow, hidden = pair(pictures["chelsea"])
    assert float(metrics.flicker(a, b, flow, hidden)) < 0.002
    raised = metrics.flicker(a * 0.8, b * 0.8 + 0.05, flow, hidden)
    assert float(raised) == pytest.approx(0.05, abs=0.003)


def test_flicker_does_not_see_noise(pictures: dict[str, Tensor]) -> None:
    a, b, flow, hidden = pair(pictures["chelsea"])
    assert float(metrics.flicker(a, noisy(b, 0.05), flow, hidden)) < 0.006


def test_warping_error_sees_noise_at_its_size(pictures: dict[str, Tensor]) -> None:
    a, b, flow, hidden = pair(pictures["chelsea"])
    clean = float(metrics.warping_error(a, b, flow, hidden))
    assert clean < 1e-4
    frame = noisy(a, 0.05)
    assert float(metrics.warping_error(frame, b, flow, hidden)) - clean == pytest.approx(0.05**2, rel=0.1)


def test_what_is_hidden_does_not_count() -> None:
    a, b = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    b[..., :4] = 1
    hidden = torch.zeros(1, 1, 8, 8)
    hidden[..., :4] = 1
    flow = torch.zeros(1, 2, 8, 8)
    assert float(metrics.warping_error(a, b, flow, hidden)) == 0
    assert float(metrics.flicker(a, b, flow, hidden)) == 0
    assert float(metrics.warping_error(a, b, flow, 0 * hidden)) == pytest.approx(0.5)


def test_sharpness_falls_with_blur_and_needs_no_second_pixel() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(6).expand(1, 3, 12, 12)
    assert float(metrics.sharpness(stripes)) == pytest.approx(1)
    assert float(metrics.sharpness(stripes * 0.5)) == pytest.approx(0.5)
    assert metrics.sharpness(torch.rand(2, 3, 1, 1)).tolist() == [0, 0]
