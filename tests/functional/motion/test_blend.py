from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flowsynth.functional.motion.blend import blend
from flowsynth.functional.motion.rate import Position, output_length, positions, source_position, sources_of

ratios = st.fractions(min_value=Fraction(1, 8), max_value=8, max_denominator=1001)


def test_doubling_puts_a_mean_between_every_two_frames() -> None:
    frames = torch.arange(3.0).view(3, 1, 1, 1)
    out = blend(frames, positions(range(6), Fraction(2), 3))
    assert out.flatten().tolist() == [0, 0.5, 1, 1.5, 2, 2]


def test_ntsc_to_pal_is_exact() -> None:
    ratio = Fraction(25) / Fraction(30000, 1001)
    assert source_position(1, ratio) == (1, Fraction(30000, 1001) / 25 - 1)
    # Ten hours on, k / fps_out still is the very moment.
    k = 25 * 36000
    assert source_position(k, ratio).frame == 36000 * 30000 // 1001


@given(num_frames=st.integers(1, 60), ratio=ratios)
def test_durations_agree_within_one_output_frame(num_frames: int, ratio: Fraction) -> None:
    length = output_length(num_frames, ratio)
    assert (length - 1) / ratio < num_frames <= length / ratio


@given(num_frames=st.integers(1, 30), ratio=ratios, cut=st.integers(1, 9))
def test_pieces_give_the_bits_of_the_whole(num_frames: int, ratio: Fraction, cut: int) -> None:
    frames = torch.rand(num_frames, 1, 2, 2, generator=torch.Generator().manual_seed(num_frames))
    length = output_length(num_frames, ratio)
    pieces = []
    for start in range(0, length, cut):
        outputs = range(start, min(start + cut, length))
        moments = positions(outputs, ratio, num_frames)
        needed = sources_of(moments)
        assert 0 <= needed.start < needed.stop <= num_frames
        moments = [Position(frame - needed.start, weight) for frame, weight in moments]
        pieces.append(blend(frames[needed.start : needed.stop], moments))
    assert torch.equal(torch.cat(pieces), blend(frames, positions(range(length), ratio, num_frames)))


@given(num_frames=st.integers(1, 30), ratio=ratios)
def test_a_ramp_in_time_stays_a_ramp(num_frames: int, ratio: Fraction) -> None:
    frames = torch.arange(num_frames, dtype=torch.float64).view(-1, 1, 1, 1)
    outputs = range(output_length(num_frames, ratio))
    expected = [float(min(k / ratio, Fraction(num_frames - 1))) for k in outputs]
    assert blend(frames, positions(outputs, ratio, num_frames)).flatten().tolist() == pytest.approx(expected)


def test_the_same_rate_gives_the_same_frames() -> None:
    frames = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blend(frames, positions(range(5), Fraction(1), 5)), frames)


def test_nothing_asked_reads_nothing() -> None:
    assert len(sources_of([])) == 0
    with pytest.raises(ValueError, match="ratio of frame rates must be above 0, got 0"):
        output_length(5, Fraction(0))
