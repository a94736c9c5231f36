from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.operators.picture.blend_mask import BlendMask
from flowsynth.values import Flow, Frames, Mask
from tests.operators.conftest import moving_clip
from tests.streams import Counter, Invert, write_source


def half(height: int = 23, width: int = 31) -> Mask:
    """White on the right."""
    data = torch.zeros(1, 1, height, width)
    data[..., width // 2 :] = 1
    return Mask(data)


def test_the_ends_are_the_very_pixels(dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype)
    other = clip.with_data(clip.tensor.flip(-1))
    out = BlendMask().run(RunContext(), frames=clip, over=other, mask=half())
    assert torch.equal(out.tensor[..., :15], clip.tensor[..., :15])
    assert torch.equal(out.tensor[..., 15:], other.tensor[..., 15:])
    assert (out.fps, out.tensor.dtype) == (clip.fps, clip.tensor.dtype)
    turned = BlendMask(invert=True).run(RunContext(), frames=clip, over=other, mask=half())
    assert torch.equal(turned.tensor[..., 15:], clip.tensor[..., 15:])


def test_feathering_softens_the_edge_only() -> None:
    black, white = (Frames(torch.full((1, 3, 23, 31), value)) for value in (0.0, 1.0))
    out = BlendMask(feather=2).run(RunContext(), frames=black, over=white, mask=half()).tensor[0, 0, 11]
    assert (out.diff() >= 0).all()
    assert out[:8].max() == 0
    assert out[22:].min() > 0.9999
    assert ((out > 0.05) & (out < 0.95)).sum() >= 6
    weak = BlendMask(strength=0.25).run(RunContext(), frames=black, over=white, mask=half())
    assert weak.tensor.max() == pytest.approx(0.25)


def test_frames_of_any_size_may_be_the_mask() -> None:
    clip = moving_clip(2, channels=1)
    other = moving_clip(1)  # held, and brought to one channel
    mask = Frames(half(46, 62).tensor.expand(2, 3, -1, -1).mul(255).to(torch.uint8))
    out = BlendMask().run(RunContext(), frames=clip, over=other, mask=mask)
    assert out.tensor.shape == clip.tensor.shape
    assert torch.equal(out.tensor[..., :15], clip.tensor[..., :15])
    assert torch.equal(out.tensor[0, :, :, 16:], out.tensor[1, :, :, 16:])


def test_a_streamed_graph_gives_the_bits_of_a_plain_call(tmp_path: Path) -> None:
    path, masks = write_source(tmp_path / "a.txt", range(20)), write_source(tmp_path / "b.txt", range(50, 70))
    operator = BlendMask(feather=1)
    g = fs.Graph("mix")
    clip = g.add("clip", Counter(path=path))
    mask = g.add("mask", Counter(path=masks))
    g.add("mixed", operator, frames=clip, over=g.add("neg", Invert(), frames=clip), mask=mask)
    run = g.run(cache_dir=tmp_path / "cache", executor="threads")
    frames = Counter(path=path).run(RunContext())
    negative = frames.with_data(255 - frames.tensor)
    expected = operator.run(
        RunContext(), frames=frames, over=negative, mask=Counter(path=masks).run(RunContext())
    )
    assert torch.equal(run["mixed"].tensor, expected.tensor)


def test_mistakes_are_named() -> None:
    clip = moving_clip(3)
    with pytest.raises(RequestError, match="mask: expected 1 frame or as many as frames has, 3; given 2"):
        BlendMask().run(RunContext(), frames=clip, over=clip, mask=moving_clip(2))
    with pytest.raises(RequestError, match="over: expected the size of frames, 31x23, given 8x9"):
        BlendMask().run(RunContext(), frames=clip, over=moving_clip(3, height=9, width=8), mask=half())
    with pytest.raises(RequestError, match="expected Mask or Frames, given Flow"):
        BlendMask().run(RunContext(), frames=clip, over=clip, mask=Flow(torch.zeros(1, 2, 23, 31)))
