"""FastBlend: the tree, the counts of fields, and what smoothing does to a clip."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flowsynth.functional.patchmatch.block_tree import (
    Block,
    Mode,
    block_sources,
    cover,
    phase_period,
    smaller_blocks,
)
from flowsynth.functional.patchmatch.fastblend import Remapper, fastblend
from flowsynth.functional.patchmatch.search import Field, MatchSettings

SMALL = MatchSettings(patch=3, iterations=1)
every_mode = pytest.mark.parametrize("mode", ["fast", "balanced", "accurate"])


def noise(length: int, height: int = 12, width: int = 15) -> Tensor:
    return torch.rand(length, 3, height, width, generator=torch.Generator().manual_seed(length))


def panned(picture: Tensor, length: int, step: int, height: int, width: int) -> Tensor:
    """A clip that moves over a picture `(1, 3, H, W)`."""
    return torch.cat([picture[:, :, 20 : 20 + height, step * t : step * t + width] for t in range(length)])


@given(first=st.integers(0, 300), length=st.integers(1, 130))
def test_a_cover_holds_each_frame_once(first: int, length: int) -> None:
    blocks = cover(first, first + length - 1)
    frames = [i for b in blocks for i in range(b.last - (1 << b.level) + 1, b.last + 1)]
    assert sorted(frames) == list(range(first, first + length))
    assert len(blocks) <= 2 * length.bit_length()


@given(first=st.integers(0, 90), window=st.integers(1, 70))
def test_covers_repeat_with_the_period(first: int, window: int) -> None:
    period = phase_period(window)
    moved = [(b.last - period, b.level) for b in cover(first + period, first + window + period)]
    assert moved == [(b.last, b.level) for b in cover(first, first + window)]


def count_fields(length: int, window: int, mode: Mode, *, whole_tree: bool = False) -> int:
    """How many fields a clip takes.

    Args:
        length: frames.
        window: neighbours on either side.
        mode: of smoothing.
        whole_tree: `fast` with all blocks that exist, as published; only those that are asked for, else.
    """
    if mode != "fast":
        pairs = sum(min(t + window, length - 1) - max(t - window, 0) + 1 for t in range(length))
        return pairs if mode == "accurate" else pairs - length
    covers = [(t, block) for t in range(length) for block in cover(max(t - window, 0), t)]
    if whole_tree:
        levels = range(1, length.bit_length() + 1)
        built = {Block(t, k) for t in range(length) for k in levels if (t + 1) % (1 << k) == 0}
    else:
        built = {part for _, block in covers for part in smaller_blocks(block)}
    asked = sum(block.last != t for t, block in covers)
    return 2 * (asked + sum(len(block_sources(block)) for block in built))


def test_the_published_counts() -> None:
    assert count_fields(200, 60, "fast", whole_tree=True) == 2_924
    assert count_fields(200, 60, "balanced") == 20_340
    assert count_fields(200, 60, "accurate") == 20_540
    assert count_fields(200, 60, "fast") == 2_604  # without the blocks that no frame asks for


@every_mode
@pytest.mark.parametrize("window", [1, 4, 30])
def test_the_counts_are_what_is_computed(mode: Mode, window: int) -> None:
    frames = noise(11, 8, 8)
    remap = Remapper(frames, SMALL)
    fastblend(frames, 0, 11, window=window, mode=mode, remap=remap)
    assert remap.fields == count_fields(11, window, mode)


@pytest.mark.sample(3)
@every_mode
@pytest.mark.parametrize("window", [1, 3, 6])
def test_pieces_give_the_bits_of_the_whole(mode: Mode, window: int) -> None:
    frames, guide, period = noise(14), noise(14).flip(0), phase_period(window)
    whole = fastblend(frames, 0, 14, window=window, mode=mode, remap=Remapper(guide, SMALL))
    pieces = []
    for start in range(0, 14, 5):
        stop = min(start + 5, 14)
        first, last = max(0, start - window), min(14, stop + window)
        piece = fastblend(
            frames[first:last],
            start - first,
            stop - first,
            window=window,
            mode=mode,
            remap=Remapper(guide[first:last], SMALL),
            phases=(first % period, (14 - last) % period),
        )
        pieces.append(piece)
    assert torch.equal(torch.cat(pieces), whole)


@every_mode
def test_a_still_clip_stays_as_it_is(mode: Mode) -> None:
    still = noise(1).expand(6, -1, -1, -1)
    out = fastblend(still, 0, 6, window=3, mode=mode, remap=Remapper(still, SMALL))
    torch.testing.assert_close(out, still.contiguous(), atol=1e-6, rtol=0)


def test_accurate_equals_balanced() -> None:
    frames = noise(5)
    made = [
        fastblend(frames, 0, 5, window=2, mode=mode, remap=Remapper(frames, SMALL))
        for mode in ("balanced", "accurate")
    ]
    torch.testing.assert_close(made[0], made[1], atol=1e-6, rtol=0)


@pytest.mark.slow
def test_flicker_falls_and_a_pan_stays_sharp(pictures: dict[str, Tensor]) -> None:
    clean = panned(pictures["astronaut"], 7, 3, 56, 72)
    gains = 1 + 0.16 * (torch.rand(7, 1, 1, 1, generator=torch.Generator().manual_seed(5)) - 0.5)
    remap = Remapper(clean, MatchSettings())
    out = fastblend(clean * gains, 0, 7, window=6, mode="fast", remap=remap)

    def change(clip: Tensor) -> Tensor:
        return (clip.mean((1, 2, 3)) / clean.mean((1, 2, 3))).diff().abs().mean()

    def detail(clip: Tensor) -> Tensor:
        return clip.diff(dim=-1).square().mean()

    assert change(out) < 0.1 * change(clean * gains)
    assert detail(out) > 0.85 * detail(clean)
    assert detail(clean.mean(0, keepdim=True)) < 0.2 * detail(clean)  # a plain mean would blur


def test_a_batch_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noise(9)
    made = []
    for pixels in (1, 1 << 20):
        monkeypatch.setattr("flowsynth.functional.patchmatch.fastblend._BATCH_PIXELS", pixels)
        made.append(fastblend(frames, 0, 9, window=4, mode="fast", remap=Remapper(frames, SMALL)))
    assert torch.equal(*made)


def test_tracking_follows_motion_beyond_the_reach_of_guesses(pictures: dict[str, Tensor]) -> None:
    clip = panned(pictures["astronaut"], 5, 12, 56, 72)
    jobs = [(clip[0], 0, t) for t in range(1, 5)]
    errors = []
    for tracking in (False, True):
        made = list(Remapper(clip, MatchSettings(iterations=1), tracking=tracking)(jobs))
        # What the first frame shows of the last one.
        errors.append((made[-1] - clip[4])[..., :20].square().mean())
    assert errors[1] < 0.5 * errors[0]


def test_tracking_takes_no_field_of_a_pair_that_has_nothing_to_do_with_it() -> None:
    frames = noise(6)
    jobs = [(frames[0], 0, 1), (frames[2], 2, 4), (frames[3], 3, 1), (frames[5], 5, 1)]
    tracked, plain = (list(Remapper(frames, SMALL, tracking=t)(jobs)) for t in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(tracked, plain, strict=True))


def test_a_stretched_field_goes_on_with_its_motion() -> None:
    rows = torch.arange(6)[None, :, None].expand(1, 6, 8) + 1
    columns = torch.arange(8).expand(1, 6, 8) - 2
    twice = Field(rows, columns).stretched(2)
    assert torch.equal(twice.rows, (torch.arange(6)[None, :, None].expand(1, 6, 8) + 2).clamp(max=5))
    assert torch.equal(twice.columns, (torch.arange(8).expand(1, 6, 8) - 4).clamp(min=0))
