import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma, rgb_to_ycc
from flowsynth.functional.picture.edges import canny
from flowsynth.functional.picture.warp import pixel_grid, sample_at
from flowsynth.functional.style.flatten import flatten
from flowsynth.functional.style.ink import Pen, ink
from flowsynth.functional.style.stylize import STYLES, Style, stylize

every_style = pytest.mark.parametrize("style", list(STYLES))


@pytest.mark.sample(10)
@every_style
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (9, 5), (31, 64), (331, 75), (300, 401)])
def test_any_size_gives_finite_values_in_range(style: Style, size: tuple[int, int]) -> None:
    frames = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    out = stylize(frames, style)
    assert out.shape == frames.shape
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@every_style
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_frames_stay_in_range(style: Style, value: float) -> None:
    out = stylize(torch.full((1, 3, 40, 40), value), style)
    assert out.isfinite().all()
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.sample(2)
@every_style
def test_frames_do_not_depend_on_each_other_nor_on_the_call(
    style: Style, pictures: dict[str, Tensor]
) -> None:
    clip = torch.cat([pictures["chelsea"], pictures["coffee"], pictures["chelsea"].flip(-1)])
    whole = stylize(clip, style)
    parts = torch.cat([stylize(clip[:1], style), stylize(clip[1:], style)])
    assert torch.equal(whole, parts)
    assert torch.equal(whole, stylize(clip, style))


@every_style
def test_the_picture_stays_recognisable_and_changes(style: Style, pictures: dict[str, Tensor]) -> None:
    """Coarse tones follow the source (correlation above 0.8), fine detail does not."""
    for picture in pictures.values():
        out = stylize(picture, style)
        small = [F.interpolate(luma(x), size=(18, 18), mode="area").flatten() for x in (picture, out)]
        assert torch.corrcoef(torch.stack(small))[0, 1] > 0.8
        assert (out - picture).abs().mean() > 0.01


@every_style
def test_sensor_noise_does_not_flicker(
    style: Style, pictures: dict[str, Tensor], generator: torch.Generator
) -> None:
    """Noise of two grey levels, as between two frames of a still camera, is damped, not amplified."""
    for picture in pictures.values():
        other = (picture + torch.randn(picture.shape, generator=generator) * 2 / 255).clamp(0, 1)
        change = (stylize(picture, style) - stylize(other, style)).abs().mean()
        assert change < 0.8 * (picture - other).abs().mean()


def test_regions_keep_their_brightness_from_frame_to_frame(pictures: dict[str, Tensor]) -> None:
    """A shift by a part of a pixel, as of a slow pan, makes no region lighter or darker as a whole."""
    for picture in pictures.values():
        ycc = rgb_to_ycc(picture)
        grid = pixel_grid(ycc)
        near, far = (sample_at(ycc, grid + shift) for shift in (0.25, 0.5))
        change = gaussian_blur(flatten(near, 0.006)[:, :1] - flatten(far, 0.006)[:, :1], 9.0)
        broad = gaussian_blur(near[:, :1] - far[:, :1], 9.0)
        assert (change - broad).abs().mean() < 1e-4


def test_toon_flattens_regions_and_draws_lines(pictures: dict[str, Tensor]) -> None:
    picture = pictures["coffee"]
    out = stylize(picture, "toon")
    away_from_edges = F.max_pool2d(canny(picture, low=0.03, high=0.08), 7, 1, 3) == 0

    def detail(x: Tensor) -> Tensor:
        return (luma(x) - F.avg_pool2d(luma(x), 3, 1, 1)).abs()[away_from_edges].mean()

    assert detail(out) < 0.6 * detail(picture)
    assert stylize(picture, "toon").mean() < STYLES["toon"](picture, ink_strength=0.0).mean()


def test_a_face_in_shadow_keeps_its_features_and_grain_stays_out(generator: torch.Generator) -> None:
    whole = torch.from_numpy(pytest.importorskip("skimage.data").astronaut()).permute(2, 0, 1)[None] / 255
    small = F.interpolate(whole, size=(288, 288), mode="bicubic", antialias=True).clamp(0, 1)
    shadow = 0.16 * small + 0.03

    def features(x: Tensor) -> Tensor:
        return (gaussian_blur(luma(x), 1.0) - gaussian_blur(luma(x), 4.0))[..., 25:125, 100:165].flatten()

    there, kept = features(shadow), features(STYLES["toon"](shadow, ink_strength=0.0))
    assert (there @ kept) / (there @ there) > 0.45
    noise = 0.03 * torch.randn(1, 1, 288, 288, generator=generator).expand(1, 3, -1, -1)
    assert luma(stylize(0.15 + noise, "toon")).std() < 0.15 * noise.std()


def test_pencil_is_grey_on_warm_paper(pictures: dict[str, Tensor]) -> None:
    out = stylize(pictures["astronaut"], "pencil_sketch")
    assert (out.amax(1) - out.amin(1)).max() < 0.05
    assert (out[:, 0] >= out[:, 2] - 0.021).all()


def test_ink_draws_a_dark_line_on_the_dark_side_of_an_edge() -> None:
    tone = torch.full((1, 1, 48, 48), 0.8)
    tone[..., 24:] = 0.3
    lines = ink(tone, tone, Pen(1.28, gains=(38.0, 60.0), offsets=(0.004, 0.006), doubt=0.022))
    assert lines[..., 24:27].max() > 0.8
    assert lines[..., :22].max() < 0.01
    assert lines[..., 32:].max() < 0.01


def test_strength_mixes_with_the_source(pictures: dict[str, Tensor]) -> None:
    picture = pictures["chelsea"]
    assert torch.equal(stylize(picture, "toon", strength=0.0), picture)
    half = stylize(picture, "toon", strength=0.5)
    torch.testing.assert_close(half, 0.5 * (picture + stylize(picture, "toon")))


@every_style
def test_no_frames_give_no_frames(style: Style) -> None:
    assert stylize(torch.zeros(0, 3, 8, 8), style).shape == (0, 3, 8, 8)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"style must be one of toon, .* got 'cartoon'"):
        stylize(torch.zeros(1, 3, 8, 8), "cartoon")
    with pytest.raises(ValueError, match=r"float \(T, 3, H, W\), got torch.uint8"):
        stylize(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "toon")
