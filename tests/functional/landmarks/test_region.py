import math
from typing import Literal

import pytest
import torch

from flowsynth.functional.landmarks.region import Region, crop_region, frame_region, to_picture


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_a_whole_square_picture_is_itself() -> None:
    x = picture(16, 16)
    torch.testing.assert_close(crop_region(x, frame_region(16, 16), 16, "zeros"), x, atol=1e-5, rtol=0)


def test_a_larger_region_is_averaged() -> None:
    x = picture(16, 16)
    expected = torch.nn.functional.avg_pool2d(x, 2)
    torch.testing.assert_close(crop_region(x, frame_region(16, 16), 8, "zeros"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("outside", "value"), [("zeros", 0.0), ("border", 1.0)])
def test_outside_of_a_wide_picture(outside: Literal["zeros", "border"], value: float) -> None:
    out = crop_region(torch.ones(1, 3, 8, 16), frame_region(8, 16), 16, outside)
    assert torch.all(out[..., :3, :] == value)
    assert torch.all(out[..., 6:10, 2:-2] == 1)


def test_a_turned_region_is_upright_and_points_come_back() -> None:
    """A right-hand turn of the region shows the picture turned left."""
    x = picture(16, 16)
    quarter = Region(8, 8, 16, math.pi / 2)
    torch.testing.assert_close(
        crop_region(x, quarter, 16, "zeros"), torch.rot90(x, 1, (2, 3)), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(to_picture(torch.tensor([1.0, 0.0]), quarter), torch.tensor([16.0, 16.0]))


def test_a_point_is_where_its_pixel_was() -> None:
    x = torch.zeros(1, 1, 60, 80)
    x[..., 31, 47] = 1
    region = Region(45, 30, 24, 0.4)
    crop = crop_region(x, region, 96, "zeros")[0, 0]
    row, column = divmod(int(crop.argmax()), 96)
    found = to_picture(torch.tensor([(column + 0.5) / 96, (row + 0.5) / 96]), region)
    torch.testing.assert_close(found, torch.tensor([47.5, 31.5]), atol=0.3, rtol=0)
