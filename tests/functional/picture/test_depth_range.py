from itertools import pairwise

import pytest
import torch

from flowsynth.functional.picture.depth_range import DepthRange


def ramp(low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, 1001).view(1, 7, 143)


def test_a_frame_by_itself_fills_the_range_but_for_its_ends() -> None:
    shown = DepthRange(steady=0).show(ramp(3, 13))
    assert (float(shown.min()), float(shown.max())) == (0, 1)
    torch.testing.assert_close(shown.view(-1)[500], torch.tensor(0.5))
    assert int((shown == 0).sum()) == pytest.approx(11, abs=1)


def test_the_range_follows_slowly_and_starts_anew_at_a_jump() -> None:
    followed = DepthRange(steady=0.9)
    followed.show(ramp(0, 10))
    assert followed.state is not None
    low, high = followed.state
    followed.show(ramp(1, 11))
    assert followed.state == pytest.approx((low + 0.1, high + 0.1))
    followed.show(ramp(100, 110))
    assert followed.state == pytest.approx((low + 100, high + 100))


def test_a_flickering_scale_shows_less() -> None:
    """The same scene, whose scale jumps by 10 % at each frame."""
    scenes = [ramp(0, 10) * scale for scale in (1.0, 1.1) * 10]
    jumps = []
    for steady in (0.0, 0.9):
        followed, ends = DepthRange(steady), []
        for scene in scenes:
            followed.show(scene)
            assert followed.state is not None
            ends.append(followed.state[1])
        jumps.append(max(abs(b - a) for a, b in pairwise(ends[4:])))
    assert jumps[1] < 0.15 * jumps[0]


def test_a_flat_frame_is_black_and_no_fault() -> None:
    assert DepthRange(0.9).show(torch.full((1, 4, 5), 7.0)).max() == 0
    assert DepthRange(0.9).show(torch.full((1, 1, 1), 7.0)).shape == (1, 1, 1)
