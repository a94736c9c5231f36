"""Which windows cover a clip, and how their overlaps weigh."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.windows import triangular_weights, window_spans


def test_spans_stop_after_the_first_that_reaches_the_end() -> None:
    assert window_spans(40, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40)]
    assert window_spans(41, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40), (32, 41)]
    assert window_spans(5, 2, 2) == [(0, 2), (2, 4), (4, 5)]


def test_a_clip_that_fits_is_one_window_whatever_the_stride() -> None:
    assert window_spans(10, 16, 8) == [(0, 10)]
    assert window_spans(5, 5, 99) == [(0, 5)]


def test_weights_are_those_of_the_formula() -> None:
    weights = triangular_weights(16)
    assert weights == weights[::-1]
    assert weights[7] == pytest.approx(1 - 0.5 / 7.505)
    assert weights[0] == 0.01  # 1 - 7.5 / 7.505 lies below the floor
    assert triangular_weights(1) == [1.0]


@given(num_frames=st.integers(1, 200), window=st.integers(1, 40), data=st.data())
def test_every_frame_is_covered_once_by_no_more_than_needed(
    num_frames: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window))
    found = window_spans(num_frames, window, stride)
    assert {frame for start, stop in found for frame in range(start, stop)} == set(range(num_frames))
    assert all(0 < stop - start <= window for start, stop in found)
    assert [stop for _, stop in found].count(num_frames) == 1
    assert all(min(triangular_weights(stop - start)) > 0 for start, stop in found)


def test_a_stride_beyond_the_window_is_an_error() -> None:
    with pytest.raises(RequestError, match="stride must be from 1 to the window's 16 frames, given 17"):
        window_spans(40, 16, 17)
    with pytest.raises(RequestError, match="given 0"):
        window_spans(40, 16, 0)
