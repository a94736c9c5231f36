import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.operators.timing.reverse import Reverse
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_the_order_turns_whatever_the_chunk(length: int, chunk: int) -> None:
    clip = moving_clip(length)
    out = Reverse().run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, clip.tensor.flip(0))
    assert torch.equal(run_by_chunks(Reverse(), clip, chunk).tensor, out.tensor)
