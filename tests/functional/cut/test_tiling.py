from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.functional.cut.tiling import context_tiles, tile_by_context

quick = settings(max_examples=40, deadline=None)
side = st.integers(1, 61)


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(
        2, channels, height, width, generator=torch.Generator().manual_seed(height * 100 + width)
    )


def convolution(seed: int, stride: int = 1) -> nn.Conv2d:
    """A random 3x3 convolution; its zero padding shows any tile that was cut short at a border."""
    torch.manual_seed(seed)
    return nn.Conv2d(3, 3, 3, padding=1, stride=stride).requires_grad_(False)


@quick
@given(height=side, width=side, tile=st.integers(5, 70), depth=st.integers(1, 2))
def test_context_equals_the_plain_call_at_any_size(height: int, width: int, tile: int, depth: int) -> None:
    fn = nn.Sequential(*(convolution(seed) for seed in range(depth)))
    x = picture(height, width)
    torch.testing.assert_close(tile_by_context(fn, x, tile=tile, halo=depth), fn(x), atol=1e-6, rtol=0)


@quick
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(5, 45),
    scale=st.sampled_from([2, 8]),
)
def test_context_equals_the_plain_call_when_enlarging(height: int, width: int, tile: int, scale: int) -> None:
    first, last = convolution(1), convolution(2)

    def decode(x: Tensor) -> Tensor:
        made: Tensor = last(F.interpolate(first(x), scale_factor=scale, mode="nearest"))
        return made

    x = picture(height, width)
    tiled = tile_by_context(decode, x, tile=tile, halo=2, scale=scale)
    torch.testing.assert_close(tiled, decode(x), atol=1e-6, rtol=0)


@quick
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), tile=st.integers(24, 80))
def test_context_equals_the_plain_call_when_reducing(rows: int, columns: int, tile: int) -> None:
    layers = [convolution(seed, stride=2) for seed in range(3)]

    def encode(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    x = picture(8 * rows, 8 * columns)
    tiled = tile_by_context(encode, x, tile=tile, halo=7, scale=Fraction(1, 8))
    torch.testing.assert_close(tiled, encode(x), atol=1e-6, rtol=0)


def test_a_halo_too_small_shows() -> None:
    """The test above can fail: without context the seams are visible."""
    fn, x = convolution(1), picture(30, 30)
    assert (tile_by_context(fn, x, tile=11, halo=0) - fn(x)).abs().max() > 1e-2


@given(
    size=st.integers(1, 300),
    tile=st.integers(20, 90),
    halo=st.integers(0, 8),
    align=st.sampled_from([1, 2, 4]),
)
def test_context_tiles_partition_the_axis(size: int, tile: int, halo: int, align: int) -> None:
    tiles = context_tiles(size, tile, halo, align)
    assert [t.keep_start for t in tiles] == [0, *(t.keep_stop for t in tiles[:-1])]
    assert tiles[-1].keep_stop == size
    for t in tiles:
        assert t.stop - t.start <= tile
        assert t.start % align == 0
        assert t.start == 0 or t.keep_start - t.start >= halo
        assert t.stop == size or t.stop - t.keep_stop >= halo


def test_more_axes_in_front_are_kept() -> None:
    x = torch.rand(1, 3, 5, 20, 22, generator=torch.Generator().manual_seed(0))
    assert torch.equal(tile_by_context(lambda part: part * 2, x, tile=9, halo=1), x * 2)


def test_mistakes_are_named() -> None:
    x = torch.zeros(1, 3, 40, 40)
    with pytest.raises(
        ValueError, match="tile of 8 px leaves nothing between two halos of 4 px; expected at least 9"
    ):
        tile_by_context(torch.abs, x, tile=8, halo=4)
    with pytest.raises(ValueError, match=r"expected \(28, 28\) .* at scale 2, got \(14, 14\)"):
        tile_by_context(torch.abs, x, tile=16, halo=0, scale=2)
