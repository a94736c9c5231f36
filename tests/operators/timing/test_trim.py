import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.timing.trim import Trim
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


@pytest.mark.parametrize(
    ("params", "first", "last"),
    [
        ({}, 0, 10),
        ({"start": 3}, 3, 10),
        ({"stop": 4}, 0, 4),
        ({"start": -3}, 7, 10),
        ({"start": 2, "stop": -2}, 2, 8),
        ({"stop": 99}, 0, 10),
        ({"start": -99}, 0, 10),
        ({"start": 0.125, "stop": 0.25, "unit": "seconds"}, 3, 6),
        ({"start": 0.13, "stop": 0.26, "unit": "seconds"}, 4, 7),
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_the_part_is_kept_whatever_the_chunk(
    params: dict[str, float], first: int, last: int, chunk: int
) -> None:
    clip, operator = moving_clip(10), Trim(**params)
    out = operator.run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, clip.tensor[first:last])
    assert torch.equal(run_by_chunks(operator, clip, chunk).tensor, out.tensor)


def test_mistakes_are_named() -> None:
    with pytest.raises(RequestError, match="no frame is left of 10; given start 5 and stop 5 frames"):
        Trim(start=5, stop=5).run(RunContext(), frames=moving_clip(10))
    pictures = Frames(moving_clip(3).tensor)
    with pytest.raises(RequestError, match="unit seconds needs frames with a rate"):
        Trim(start=1, unit="seconds").run(RunContext(), frames=pictures)
