import torch

from flowsynth.core.context import RunContext
from flowsynth.functional.measure.metrics import sharpness
from flowsynth.operators.picture.sharpen import Sharpen
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip


def test_frames_get_sharper_and_keep_their_brightness(dtype: str) -> None:
    clip = moving_clip(5, dtype=dtype)
    out = Sharpen(amount=1.0).run(RunContext(), frames=clip)
    assert out.tensor.dtype == clip.tensor.dtype
    before, after = (sharpness(c.to_float()).mean().item() for c in (clip, out))
    assert after > 1.3 * before
    assert abs(out.to_float().mean() - clip.to_float().mean()) < 0.005
    assert torch.equal(run_by_chunks(Sharpen(amount=1.0), clip, 2).tensor, out.tensor)


def test_nothing_asked_changes_nothing() -> None:
    for channels in (1, 3, 4):
        clip = moving_clip(1, channels=channels)
        assert torch.equal(Sharpen(amount=0).run(RunContext(), frames=clip).tensor, clip.tensor)
