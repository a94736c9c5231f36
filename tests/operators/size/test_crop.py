import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.size.crop import Crop
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


def test_a_box_keeps_the_bits(dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype, channels=4)
    out = Crop(top=2, left=5, height=7, width=9).run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, clip.tensor[..., 2:9, 5:14])
    assert out.fps == clip.fps
    assert torch.equal(run_by_chunks(Crop(top=2, left=5, height=7, width=9), clip, 2).tensor, out.tensor)


def test_what_is_not_said_is_the_middle_or_the_rest() -> None:
    clip = moving_clip(1)
    assert torch.equal(Crop(width=11).run(RunContext(), frames=clip).tensor, clip.tensor[..., 10:21])
    assert torch.equal(Crop(top=20).run(RunContext(), frames=clip).tensor, clip.tensor[..., 20:, :])


@pytest.mark.parametrize(("aspect", "size"), [("1:1", (23, 23)), ("16/9", (17, 31)), ("2.39:1", (13, 31))])
def test_an_aspect_is_cut_from_the_middle(aspect: str, size: tuple[int, int]) -> None:
    out = Crop(aspect=aspect).run(RunContext(), frames=moving_clip(1, channels=1))
    assert (out.height, out.width) == size


def test_mistakes_are_named() -> None:
    with pytest.raises(RequestError, match=r"within 0 to 23 .* given rows 20 to 30 and columns 0 to 31"):
        Crop(top=20, height=10).run(RunContext(), frames=moving_clip(1))
    with pytest.raises(RequestError, match="the box leaves the frame"):
        Crop(height=24).run(RunContext(), frames=moving_clip(1))
    (fault,) = Crop(aspect="1:1", width=3).check({})
    assert "given aspect 1:1, width 3" in str(fault)
    (fault,) = Crop().check({})
    assert "given nothing" in str(fault)
    for text in ("wide", "0:9", "16:"):
        with pytest.raises(ValidationError, match="expected width to height, such as 16:9"):
            Crop(aspect=text)
