import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.cut.tiling import tile_by_context
from flowsynth.functional.picture.resize import bicubic, centre_crop_to_aspect, lanczos

SIZES = [(37, 61), (288, 432), (143, 215), (200, 90), (1, 1), (72, 108)]


def pillow(picture: Tensor, size: tuple[int, int], method: Image.Resampling) -> Tensor:
    channels = [Image.fromarray(channel.numpy(), mode=None) for channel in picture[0]]
    resized = [np.array(channel.resize(size[::-1], method)) for channel in channels]
    return torch.from_numpy(np.stack(resized))[None]


@pytest.mark.parametrize("size", SIZES)
def test_lanczos_is_pillows(pictures: dict[str, Tensor], size: tuple[int, int]) -> None:
    expected = pillow(pictures["chelsea"], size, Image.Resampling.LANCZOS)
    torch.testing.assert_close(lanczos(pictures["chelsea"], size), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_bicubic_is_pillows_and_torchs(pictures: dict[str, Tensor], size: tuple[int, int]) -> None:
    ours = bicubic(pictures["coffee"], size)
    torch.testing.assert_close(
        ours, pillow(pictures["coffee"], size, Image.Resampling.BICUBIC), atol=2e-5, rtol=0
    )
    theirs = F.interpolate(pictures["coffee"], size=size, mode="bicubic", antialias=True)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), rows=st.integers(1, 60), columns=st.integers(1, 60)
)
def test_a_constant_stays_constant(height: int, width: int, rows: int, columns: int) -> None:
    x = torch.full((1, 2, height, width), 0.7)
    for method in (lanczos, bicubic):
        torch.testing.assert_close(method(x, (rows, columns)), torch.full((1, 2, rows, columns), 0.7))


def test_the_same_size_is_the_same_picture(pictures: dict[str, Tensor]) -> None:
    assert torch.equal(
        lanczos(pictures["chelsea"], (144, pictures["chelsea"].shape[-1])), pictures["chelsea"]
    )


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("method", [lanczos, bicubic])
def test_tiles_give_the_same_bits(pictures: dict[str, Tensor], factor: int, method: type) -> None:
    x = pictures["coffee"][..., :101, :77]

    def enlarge(part: Tensor) -> Tensor:
        return method(part, (part.shape[-2] * factor, part.shape[-1] * factor))  # type: ignore[no-any-return]

    assert torch.equal(tile_by_context(enlarge, x, tile=40, halo=4, scale=factor), enlarge(x))


def test_enlarging_and_reducing_again_returns_the_picture(pictures: dict[str, Tensor]) -> None:
    picture = pictures["coffee"]
    back = lanczos(lanczos(picture, (288, 432)), (144, 216))
    assert (back - picture).abs().mean() < 0.01


@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    ratio=st.sampled_from([(1, 1), (16, 9), (9, 16), (4, 3)]),
)
def test_crop_has_the_aspect_and_is_centred(height: int, width: int, ratio: tuple[int, int]) -> None:
    rows = torch.arange(height)[:, None].expand(height, width)
    cropped = centre_crop_to_aspect(rows, *ratio)
    new_height, new_width = cropped.shape
    assert new_height == height or new_width == width
    if min(height, width) > 20:
        assert abs(new_width * ratio[1] - new_height * ratio[0]) <= max(ratio)
    above, below = int(cropped[0, 0]), height - 1 - int(cropped[-1, 0])
    assert 0 <= below - above <= 1


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"at least 1, got \(0, 4\)"):
        lanczos(torch.zeros(1, 3, 4, 4), (0, 4))
    with pytest.raises(ValueError, match=r"floating-point values, got torch\.uint8"):
        bicubic(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), (8, 8))
