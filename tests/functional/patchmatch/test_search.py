"""Patch match against plain loops, known motion, and the traps of small pictures and seeds."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flowsynth.functional.patchmatch.search import (
    Field,
    MatchSettings,
    match,
    patch_sizes,
    pyramid_sizes,
    remap,
)

QUICK = MatchSettings(iterations=2)


def noise(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def random_field(batch: int, height: int, width: int) -> Field:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(0, height, (batch, height, width), generator=generator)
    return Field(rows, torch.randint(0, width, (batch, height, width), generator=generator))


def remap_by_loops(picture: Tensor, field: Field, patch: int) -> Tensor:
    """The definition, pixel by pixel."""
    (height, width), radius = picture.shape[-2:], patch // 2
    out = torch.zeros_like(picture)
    for y in range(height):
        for x in range(width):
            proposals = []
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y - dy < height and 0 <= x - dx < width:
                        row = int(field.rows[0, y - dy, x - dx]) + dy
                        column = int(field.columns[0, y - dy, x - dx]) + dx
                        if 0 <= row < height and 0 <= column < width:
                            proposals.append(picture[0, :, row, column])
            out[0, :, y, x] = torch.stack(proposals).mean(0)
    return out


def error_by_loops(source: Tensor, target: Tensor, field: Field, patch: int) -> Tensor:
    """SSD of the patches at each match, with borders repeated."""
    radius, (height, width) = patch // 2, source.shape[-2:]
    pad = torch.nn.functional.pad
    s, t = (pad(x, (radius,) * 4, mode="replicate")[0] for x in (source, target))
    out = torch.empty(height, width)
    for y in range(height):
        for x in range(width):
            row, column = int(field.rows[0, y, x]), int(field.columns[0, y, x])
            a = s[:, row : row + patch, column : column + patch]
            out[y, x] = (a - t[:, y : y + patch, x : x + patch]).square().sum()
    return out


@pytest.mark.parametrize("patch", [1, 3, 5])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_remap_is_the_mean_of_all_proposals(patch: int, channels: int) -> None:
    picture = torch.rand(1, channels, 7, 9, generator=torch.Generator().manual_seed(2))
    field = random_field(1, 7, 9)
    torch.testing.assert_close(remap(picture, field, patch), remap_by_loops(picture, field, patch))


def test_the_identity_carries_a_picture_over_unchanged() -> None:
    picture = noise(1, 20, 24)
    field, carried = match(picture, picture, picture, QUICK)
    assert torch.equal(field.rows[0], torch.arange(20)[:, None].expand(20, 24))
    assert torch.equal(field.columns[0], torch.arange(24).expand(20, 24))
    torch.testing.assert_close(carried, picture, atol=1e-6, rtol=0)


def test_a_shift_is_found(pictures: dict[str, Tensor]) -> None:
    scene = pictures["chelsea"]
    source, target = scene[:, :, 10:90, 20:120], scene[:, :, 13:93, 27:127]
    field, carried = match(source, target, source, MatchSettings())
    grid = torch.arange(100), torch.arange(80)[:, None]
    inside = (slice(None), slice(8, 70), slice(8, 86))
    right = ((field.columns - grid[0])[inside] == 7) & ((field.rows - grid[1])[inside] == 3)
    assert right.float().mean() > 0.95
    assert (carried - target)[..., 8:70, 8:86].square().mean() < 1e-4


def test_more_passes_never_raise_the_error(pictures: dict[str, Tensor]) -> None:
    scene = pictures["coffee"]
    source, target = scene[:, :, 40:64, 40:72], scene[:, :, 42:66, 45:77]
    height, width = source.shape[-2:]
    identity = Field(
        torch.arange(height)[None, :, None].expand(1, height, width),
        torch.arange(width).expand(1, height, width),
    )
    # One level, and a guide alone: the style is flat, so its error is zero throughout.
    flat = torch.zeros_like(source)
    settings = MatchSettings(patch=19, iterations=1, guide_weight=1.0)
    found, _ = match(source, target, flat, settings)
    before = error_by_loops(source, target, identity, 19)
    after = error_by_loops(source, target, found, 19)
    assert (after <= before + 1e-3).all()
    assert after.mean() < 0.6 * before.mean()


def test_a_field_does_not_depend_on_its_batch() -> None:
    source, target = noise(3, 24, 31), noise(3, 24, 31, seed=1)
    together, carried = match(source, target, source, QUICK)
    for i in range(3):
        alone, picture = match(source[i : i + 1], target[i : i + 1], source[i : i + 1], QUICK)
        assert torch.equal(alone.rows[0], together.rows[i])
        assert torch.equal(alone.columns[0], together.columns[i])
        assert torch.equal(picture[0], carried[i])


def test_the_seed_alone_decides() -> None:
    source, target = noise(1, 32, 32), noise(1, 32, 32, seed=1)
    torch.manual_seed(0)
    first, _ = match(source, target, source, QUICK)
    torch.manual_seed(1)
    second, _ = match(source, target, source, QUICK)
    other, _ = match(source, target, source, replace(QUICK, seed=1))
    assert torch.equal(first.rows, second.rows)
    assert not torch.equal(first.rows, other.rows)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (9, 200), (33, 47)])
def test_any_size_works(size: tuple[int, int]) -> None:
    source, target = noise(2, *size), noise(2, *size, seed=1)
    field, carried = match(source, target, source, QUICK)
    assert field.rows.shape == (2, *size)
    assert carried.shape == source.shape
    assert carried.isfinite().all()
    assert int(field.rows.min()) >= 0
    assert int(field.columns.max()) < size[1]


def test_the_schedule_of_the_paper() -> None:
    assert patch_sizes(MatchSettings()) == [13, 11, 9, 7, 5]
    assert len(pyramid_sizes(512, 768, 5)) == 6
    assert pyramid_sizes(512, 768, 5)[-1] == (512, 768)
    assert pyramid_sizes(8, 8, 5) == [(8, 8)]


def test_an_even_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="odd patch"):
        MatchSettings(patch=4)
