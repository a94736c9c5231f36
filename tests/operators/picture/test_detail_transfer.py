"""detail_transfer: strokes come over, stains and grain stay out, flat areas are not touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.resize import bicubic
from flowsynth.operators.picture.detail_transfer import DetailTransfer
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.streams import Counter, Invert, write_source


def lay(frames: Tensor, redrawn: Tensor, reference: Tensor | None = None, **params: Any) -> Tensor:
    before = None if reference is None else Frames(reference)
    operator = DetailTransfer(**params)
    return operator.run(RunContext(), frames=Frames(frames), redrawn=Frames(redrawn), reference=before).tensor


def scene(pictures: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A picture with a flat left half, and the same at half the size."""
    large = pictures["astronaut"][..., :96, :128].clone()
    large[..., :64] = 0.6
    return large, bicubic(large, (48, 64)).clamp(0, 1)


def test_a_stroke_comes_over_and_keeps_the_hue(pictures: dict[str, Tensor]) -> None:
    large, small = scene(pictures)
    redrawn = small.clone()
    redrawn[..., 20:22, 40:60] *= 0.4
    out = lay(large, redrawn, small)
    change = (out - large)[0].mean(0)
    assert change[40:44, 84:116].mean() < -0.08
    assert change[:30].abs().mean() < 0.003
    inked, own = out[0, :, 40:44, 84:116].mean((1, 2)), large[0, :, 40:44, 84:116].mean((1, 2))
    assert inked.argsort().equal(own.argsort())


def test_stains_and_grain_in_flat_areas_stay_out(pictures: dict[str, Tensor]) -> None:
    large, small = scene(pictures)
    grain = 0.02 * torch.randn(small.shape, generator=torch.Generator().manual_seed(0))
    redrawn = (small * torch.tensor([0.9, 1.0, 1.1]).view(1, 3, 1, 1) + grain).clamp(0, 1)
    out = lay(large, redrawn, small)
    assert torch.allclose(out[..., :40], large[..., :40], atol=1e-4)
    stained = lay(large, redrawn, small, contrast=0)
    assert (stained - large)[..., :40].abs().mean() > 0.003
    # What is left of a stain by the filter's border, where it meets the picture's edge.
    even = lay(large, (small * 0.9).clamp(0, 1), small, contrast=0, size=2)
    assert (even - large)[..., 8:40].abs().mean() < 0.01


def test_darks_and_lights_are_weighed_apart(pictures: dict[str, Tensor]) -> None:
    large, small = scene(pictures)
    redrawn = (small + 0.2 * torch.sin(torch.arange(64.0) * 2)).clamp(0, 1)
    out = lay(large, redrawn, small, lights=0)
    assert (out - large).max() < 1e-5
    assert (out - large).min() < -0.05
    assert torch.allclose(lay(large, redrawn, small, lights=0, darks=0), large, atol=1e-5)


def test_without_a_reference_it_is_the_frames_reduced(pictures: dict[str, Tensor]) -> None:
    large, small = scene(pictures)
    redrawn = small * 0.7
    assert torch.equal(lay(large, redrawn), lay(large, redrawn, small))


def test_taken_whole_it_is_the_redrawn_clip_in_the_frames_size(pictures: dict[str, Tensor]) -> None:
    large, small = scene(pictures)
    assert torch.equal(lay(large, large.flip(-1), take="whole"), large.flip(-1))
    out = lay(large, small, take="whole")
    assert out.shape == large.shape
    assert (out - large).abs().mean() < 0.03


@pytest.mark.sample(16)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("take", ["detail", "whole"])
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (23, 31)])
def test_any_channels_sizes_and_dtypes(channels: int, take: str, size: tuple[int, int], dtype: str) -> None:
    clip, redrawn = moving_clip(3, *size, channels=channels, dtype=dtype), moving_clip(3, 11, 15)
    operator = DetailTransfer.model_validate({"take": take})
    out = operator.run(RunContext(), frames=clip, redrawn=redrawn)
    assert (out.tensor.shape, out.tensor.dtype, out.fps) == (clip.tensor.shape, clip.tensor.dtype, clip.fps)
    assert torch.equal(run_by_chunks(operator, clip, 2, redrawn=redrawn).tensor, out.tensor)
    if channels == 4:
        assert torch.equal(out.tensor[:, 3:], clip.tensor[:, 3:])


def test_mistakes_name_the_port() -> None:
    clip = moving_clip(4)
    with pytest.raises(RequestError, match="redrawn: expected 1 frame or as many as frames has, 4; given 3"):
        lay(clip.tensor, clip.tensor[:3])
    with pytest.raises(RequestError, match="reference: expected the size of redrawn, 31x23, given 30x23"):
        lay(clip.tensor, clip.tensor, clip.tensor[..., :30])


@pytest.mark.parametrize("take", ["detail", "whole"])
def test_a_reference_that_is_not_read_is_not_made(tmp_path: Path, take: str) -> None:
    operator = DetailTransfer.model_validate({"take": take})
    g = fs.Graph("lay")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "a.txt", range(20))))
    before = g.add("before", Invert(strength=254), frames=clip)
    g.add("lay", operator, frames=clip, redrawn=g.add("made", Invert(), frames=clip), reference=before)
    run = g.run(cache_dir=tmp_path / "c", chunk=4)
    assert ("before" in run.record.nodes) == (take == "detail")
    assert run["lay"].num_frames == 20
