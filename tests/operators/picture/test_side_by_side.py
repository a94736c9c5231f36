import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.picture.side_by_side import SideBySide
from tests.operators.conftest import moving_clip


def test_a_row_holds_every_clip_bit_for_bit() -> None:
    a, b = moving_clip(2), moving_clip(2, channels=1)
    out = SideBySide(gap=3).run(RunContext(), frames=[a, b])
    assert out.tensor.shape == (2, 3, 23, 31 + 3 + 31)
    assert torch.equal(out.tensor[..., :31], a.tensor)
    assert (out.tensor[..., 31:34] == 255).all()
    assert torch.equal(out.tensor[..., 34:], b.tensor.expand(-1, 3, -1, -1))


def test_a_column_takes_the_first_width() -> None:
    out = SideBySide(direction="column", gap=0).run(
        RunContext(), frames=[moving_clip(1), moving_clip(1, height=46, width=62)]
    )
    assert out.tensor.shape == (1, 3, 46, 31)


def test_clips_of_different_lengths_are_refused() -> None:
    with pytest.raises(RequestError, match=r"given \[2, 3\] frames"):
        SideBySide().run(RunContext(), frames=[moving_clip(2), moving_clip(3)])
