import numpy as np
import numpy.typing as npt
import pytest

from flowsynth.functional.show.plot import line_charts

LINE = (20, 90, 170)


def blue(picture: object) -> npt.NDArray[np.bool_]:
    """Where the curves are."""
    found: npt.NDArray[np.bool_] = np.abs(np.asarray(picture).astype(int) - LINE).sum(axis=2) < 120
    return found


def test_charts_start_at_zero_and_share_the_axis_of_frames() -> None:
    steady, pairs = [0.5, 0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.2, 0.1]
    drawn = blue(line_charts({"steady": steady, "pairs": pairs}))
    assert drawn.shape == (330, 720)
    first, second = (np.nonzero(part) for part in (drawn[:150], drawn[150:300]))
    assert first[0].max() - first[0].min() <= 4  # a steady value is a level line, at the top
    assert first[0].max() < 40
    assert second[0].min() < 40 < 75 < second[0].max() < 100  # half of the largest is half way up
    assert (first[1].min(), first[1].max()) == pytest.approx((76, 700), abs=3)
    assert (second[1].min(), second[1].max()) == pytest.approx((76 + 624 / 4, 700), abs=3)


def test_zeros_negative_values_and_nothing() -> None:
    assert np.nonzero(blue(line_charts({"zero": [0.0, 0.0]})))[0].min() > 120
    below = np.nonzero(blue(line_charts({"below": [1.0, -1.0]})))[0]
    assert (below.min(), below.max()) == pytest.approx((30, 136), abs=4)
    assert not blue(line_charts({})).any()


def test_what_is_beneath_shares_the_scale_and_is_grey() -> None:
    alone = blue(line_charts({"a": [1.0, 1.0]}))
    under = line_charts({"a": [1.0, 1.0]}, {"a": [2.0, 2.0], "other": [9.0, 9.0]})
    assert np.nonzero(alone)[0].max() < 40
    assert np.nonzero(blue(under))[0].min() > 70  # half of the larger one
    grey = np.asarray(under).max(axis=2) < 160
    assert grey[26:36].any(axis=0).sum() > 600
