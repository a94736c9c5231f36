import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.size.pad import Pad
from tests.operators.conftest import moving_clip


def test_the_border_is_coloured_and_white_in_the_mask(dtype: str) -> None:
    clip = moving_clip(2, dtype=dtype)
    out = Pad(left=3, top=1, right=2, color="#ffffff").run(RunContext(), frames=clip)
    assert (out.frames.height, out.frames.width) == (clip.height + 1, clip.width + 5)
    assert torch.equal(out.frames.tensor[..., 1:, 3:-2], clip.tensor)
    assert torch.equal(out.frames.to_float()[..., :1, :], torch.ones(2, 3, 1, clip.width + 5))
    mask = out.mask.to_float()
    assert torch.equal(mask[..., 1:, 3:-2], torch.zeros(2, 1, clip.height, clip.width))
    assert int(mask[0].sum()) == (clip.height + 1) * (clip.width + 5) - clip.height * clip.width


def test_the_mask_fades_inside_from_the_sides_that_have_a_border_only() -> None:
    mask = Pad(left=2, feather=4).run(RunContext(), frames=moving_clip(1, dtype="float32")).mask.tensor[0, 0]
    assert mask[5, :7].tolist() == [1, 1, 1, (3 / 4) ** 2, (2 / 4) ** 2, (1 / 4) ** 2, 0]
    assert torch.equal(mask[0], mask[-1])  # no border above and below
    assert float(mask[:, 7:].sum()) == 0


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(RequestError, match="at most 16384"):
        Pad(left=16384).run(RunContext(), frames=moving_clip(1))
