import pytest
import torch

from flowsynth.functional.show.sheet import default_columns, evenly_spaced, sheet


def test_evenly_spaced_holds_both_ends() -> None:
    assert evenly_spaced(5, 101) == [0, 25, 50, 75, 100]
    assert evenly_spaced(3, 2) == [0, 1]
    assert evenly_spaced(1, 9) == [4]
    assert evenly_spaced(4, 0) == []
    for total in range(1, 30):
        for count in range(1, 35):
            found = evenly_spaced(count, total)
            assert sorted(set(found)) == found
            assert len(found) == min(count, total)


def test_cells_hold_the_frames_and_margins_the_background() -> None:
    frames = [torch.full((3, 4, 6), value) for value in (0.1, 0.2, 0.3)]
    out = sheet(frames, 2, margin=2, background=1.0)
    assert out.shape == (3, 2 + 2 * 6, 2 + 2 * 8)
    assert out[0, 2, 2] == pytest.approx(0.1)
    assert out[0, 5, 15] == pytest.approx(0.2)
    assert out[0, 8, 2] == pytest.approx(0.3)
    assert (out[:, :2] == 1).all()
    assert (out[:, 8:, 10:] == 1).all()
    assert out.sum().item() == pytest.approx(3 * (24 * 0.6 + (14 * 18 - 72)), rel=1e-5)


def test_smaller_and_grey_frames_are_centred() -> None:
    out = sheet([torch.zeros(3, 6, 8), torch.full((1, 2, 4), 0.5)], 2, margin=0)
    assert (out[:, 2:4, 10:14] == 0.5).all()
    assert (out[:, :, 8:10] == 1).all()


def test_columns_follow_the_shape() -> None:
    assert default_columns(12, 90, 160) == 3
    assert default_columns(12, 160, 90) == 6
    assert default_columns(1, 100, 100) == 1


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="at least one frame and one column, got 0 and 2"):
        sheet([], 2)
    with pytest.raises(ValueError, match=r"frame 1 must be \(1 or 3, H, W\), got \(4, 2, 2\)"):
        sheet([torch.zeros(3, 2, 2), torch.zeros(4, 2, 2)], 2)
