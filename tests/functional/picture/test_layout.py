import numpy as np
import pytest
import torch
from PIL import Image

from flowsynth.functional.picture.layout import anchored, area, fitted, resize_with_alpha, scaled_to_box
from flowsynth.functional.picture.resize import lanczos


def picture(channels: int = 3, height: int = 23, width: int = 31) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1))


def test_area_averages_whole_blocks_and_keeps_the_mean() -> None:
    x = picture(3, 24, 30)
    blocks = x.view(1, 3, 6, 4, 10, 3).mean((3, 5))
    assert torch.allclose(area(x, (6, 10)), blocks, atol=1e-6)
    odd = area(x, (7, 11))
    assert torch.allclose(odd.mean((-2, -1)), x.mean((-2, -1)), atol=1e-6)
    assert torch.allclose(area(torch.full((1, 1, 5, 7), 0.3), (3, 13)), torch.tensor(0.3), atol=1e-6)


def test_area_counts_parts_of_pixels() -> None:
    row = torch.tensor([[[[0.0, 3.0, 6.0]]]])
    assert torch.allclose(area(row, (1, 2)), torch.tensor([[[[1.0, 5.0]]]]))
    # Pillow's reduce-by-box takes the same view of a pixel where the factor is whole.
    grey = np.arange(64, dtype=np.float32).reshape(8, 8)
    ours = area(torch.from_numpy(grey)[None, None], (2, 4))[0, 0]
    theirs = Image.fromarray(grey).reduce((2, 4))
    assert np.allclose(ours.numpy(), np.asarray(theirs), atol=1e-4)


def test_hidden_colours_do_not_bleed() -> None:
    x = torch.zeros(1, 4, 8, 8)
    x[:, 0] = 1.0  # red, but hidden
    x[:, 1, :, 3:] = 1.0
    x[:, 0, :, 3:] = 0.0  # green, shown
    x[:, 3, :, 3:] = 1.0
    out = resize_with_alpha(x, (4, 4), area)
    edge = out[0, :, 0, 1]
    assert edge[3] == pytest.approx(0.5)
    assert edge[:2].tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(("cover", "size"), [(False, (20, 40)), (True, (30, 60))])
def test_a_size_fits_or_covers_a_box(cover: bool, size: tuple[int, int]) -> None:
    assert scaled_to_box(100, 200, (30, 40), cover=cover) == size


@pytest.mark.parametrize("mode", ["stretch", "fit", "fill", "pad"])
def test_modes_give_the_box(mode: str) -> None:
    x = picture()
    out = fitted(x, (40, 17), mode, lanczos, torch.tensor([1.0, 0.0, 0.5]))  # type: ignore[arg-type]
    assert out.shape[-2:] == ((13, 17) if mode == "fit" else (40, 17))
    if mode == "pad":
        assert torch.equal(out[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.5]))
        assert torch.equal(out[..., 13:26, :], fitted(x, (40, 17), "fit", lanczos, torch.zeros(3)))


def test_anchors() -> None:
    assert anchored("top_left", (4, 6), (20, 30), 2) == (2, 2)
    assert anchored("bottom_right", (4, 6), (20, 30), 2) == (14, 22)
    assert anchored("centre", (4, 6), (20, 30), 2) == (8, 12)
    assert anchored("bottom", (4, 6), (20, 31), 2) == (14, 12)
