"""Cuts: told from motion and flicker, found where they are."""

import pytest
import torch
from torch import Tensor

from flowsynth.functional.cut.shots import same_shot, shots


def pan(picture: Tensor, length: int, step: int, height: int = 60, width: int = 90) -> Tensor:
    return torch.cat([picture[:, :, 30 : 30 + height, step * t : step * t + width] for t in range(length)])


def test_a_clip_is_divided_at_its_cuts(pictures: dict[str, Tensor]) -> None:
    astronaut, cat = pan(pictures["astronaut"], 4, 5), pan(pictures["chelsea"], 3, 2)
    assert shots(torch.cat((astronaut, cat))) == [range(4), range(4, 7)]
    assert shots(torch.cat((astronaut, cat)), 0) == [range(7)]
    assert shots(astronaut[:1]) == [range(1)]
    assert shots(astronaut[:0]) == [range(0)]


@pytest.mark.parametrize("step", [5, 14, 18])
def test_a_fast_pan_is_no_cut(pictures: dict[str, Tensor], step: int) -> None:
    assert shots(pan(pictures["astronaut"], 4, step)) == [range(4)]


def test_flicker_and_darkness_are_no_cuts(pictures: dict[str, Tensor]) -> None:
    clip = pan(pictures["astronaut"], 4, 3)
    gains = torch.tensor([1.0, 0.6, 1.0, 0.6]).view(4, 1, 1, 1)
    assert shots(clip * gains) == [range(4)]
    assert shots(clip * 0) == [range(4)]


def test_a_black_frame_stands_by_itself(pictures: dict[str, Tensor]) -> None:
    clip = pan(pictures["astronaut"], 3, 3)
    clip[1] = 0
    assert shots(clip) == [range(1), range(1, 2), range(2, 3)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (250, 201)])
def test_any_size_and_channels(channels: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    frame = (torch.rand(1, channels, *size, generator=generator) * 255).to(torch.uint8)
    assert same_shot(frame, frame)


@pytest.mark.parametrize("rows", [6, 14, 30])
def test_a_fast_scroll_of_text_is_no_cut(rows: int) -> None:
    sheet = lines_of_text(200)
    clip = torch.cat([sheet[:, :, rows * t : rows * t + 60] for t in range(4)])
    assert shots(clip) == [range(4)]


def lines_of_text(height: int) -> Tensor:
    """Rows of random dark dashes of random lengths, white between."""
    generator = torch.Generator().manual_seed(4)
    sheet = torch.ones(1, 3, height, 96)
    for top in range(2, height - 6, 8):
        column = 4
        while column < 90:
            length = int(torch.randint(2, 9, (), generator=generator))
            sheet[:, :, top : top + 4, column : column + length] = 0.1
            column += length + 2
    return sheet


def test_shots_of_one_palette_are_two(pictures: dict[str, Tensor]) -> None:
    cat = pictures["chelsea"]
    first, second = cat[:, :, :60, :90], cat[:, :, 60:120, 60:150].flip(-1)
    assert shots(torch.cat((first, first, second, second))) == [range(2), range(2, 4)]
