import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flowsynth.functional.cut.windows import Span, spans, triangular_weights, window_weights


def test_spans_stop_after_the_first_that_reaches_the_end() -> None:
    assert spans(40, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40)]
    assert spans(41, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40), (32, 41)]
    assert spans(10, 16, 8) == [(0, 10)]
    assert spans(5, 2, 2) == [(0, 2), (2, 4), (4, 5)]


def test_weights_are_those_of_the_formula() -> None:
    weights = triangular_weights(16)
    assert weights == weights[::-1]
    assert weights[7] == pytest.approx(1 - 0.5 / 7.505)
    assert weights[0] == 0.01  # 1 - 7.5 / 7.505 lies below the floor
    assert triangular_weights(1) == [1.0]


@given(num_frames=st.integers(1, 200), window=st.integers(1, 40), data=st.data())
def test_every_frame_is_covered_and_shares_sum_to_one(
    num_frames: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window))
    found = spans(num_frames, window, stride)
    table = window_weights(num_frames, found)
    torch.testing.assert_close(table.sum(dim=0), torch.ones(num_frames))
    for row, (start, stop) in zip(table, found, strict=True):
        assert 0 < stop - start <= window
        assert (row[start:stop] > 0).all()
        assert row[:start].sum() + row[stop:].sum() == 0


def test_a_stride_beyond_the_window_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"stride must be at most the window \(16\).* got 17"):
        spans(40, 16, 17)
    with pytest.raises(ValueError, match="num_frames must be at least 1, got 0"):
        spans(0, 16, 8)


def test_spans_unpack_and_name_their_ends() -> None:
    assert spans(3, 2, 1)[1] == Span(start=1, stop=3)
