"""Blocks of real codecs against clean pictures, wherever the grid lies."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from flowsynth.functional.measure.blockiness import blockiness, steps
from flowsynth.functional.picture.color import luma


def jpeg(picture: Tensor, quality: int) -> Tensor:
    pixels = (picture[0].permute(1, 2, 0) * 255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    back = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    return torch.from_numpy(back.astype(np.float32) / 255).permute(2, 0, 1)[None]


def measured(picture: Tensor) -> float:
    return blockiness(*steps(luma(picture)[:, 0]))


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_the_worse_the_quality_the_more_blocks_show(pictures: dict[str, Tensor], name: str) -> None:
    clean = pictures[name]
    found = [measured(clean), *(measured(jpeg(clean, quality)) for quality in (75, 50, 35, 20))]
    assert found == sorted(found)
    assert found[0] < 1.5
    assert found[3] > 2


def test_a_crop_moves_the_grid_and_changes_little(pictures: dict[str, Tensor]) -> None:
    blocky = jpeg(pictures["chelsea"], 30)
    assert measured(blocky[..., 3:, 5:]) == pytest.approx(measured(blocky), rel=0.1)


def test_a_single_strong_edge_on_the_grid_is_no_block() -> None:
    noise = torch.rand(1, 96, 96, generator=torch.Generator().manual_seed(3)) * 0.1
    noise[..., 48:] += 0.5
    assert blockiness(*steps(noise)) < 1.5


@pytest.mark.parametrize("size", [(1, 1), (3, 64), (15, 15), (16, 16), (64, 5)])
def test_small_and_flat_pictures_have_a_figure(size: tuple[int, int]) -> None:
    assert blockiness(*steps(torch.full((2, *size), 0.5))) == 1
