import torch

from flowsynth.core.context import RunContext
from flowsynth.functional.picture.tone import adjust
from flowsynth.operators.picture.contrast import Contrast
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


def test_it_is_the_function_in_the_clips_dtype(dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype)
    operator = Contrast(contrast=1.3, brightness=-0.1, saturation=1.4, gamma=0.8)
    out = operator.run(RunContext(), frames=clip)
    expected = clip.like(adjust(clip.to_float(), contrast=1.3, brightness=-0.1, saturation=1.4, gamma=0.8))
    assert torch.equal(out.tensor, expected.tensor)
    assert torch.equal(run_by_chunks(operator, clip, 2).tensor, out.tensor)


def test_the_defaults_change_nothing() -> None:
    for channels in (1, 3, 4):
        clip = moving_clip(1, channels=channels)
        assert torch.equal(Contrast().run(RunContext(), frames=clip).tensor, clip.tensor)
