"""Super-resolution of clips: blocks at fixed places, equal however a clip is cut; the published weights."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from flowsynth.core.context import RunContext
from flowsynth.core.streams import Map, Resample
from flowsynth.functional.picture.resize import lanczos
from flowsynth.nets.clip_upscaling.basicvsr import BasicVSR
from flowsynth.operators.size import _clip_super
from flowsynth.operators.size._clip_super import blocks, enlarge_clip, relative
from flowsynth.operators.size.upscale import Upscale
from tests.nets.tiny import randomised
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.published import published


@pytest.fixture(scope="module")
def network() -> BasicVSR:
    return randomised(BasicVSR(width=6, blocks=1))


@pytest.fixture
def checkpoint(tmp_path: Path, network: BasicVSR) -> str:
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    return str(tmp_path / "net.safetensors")


@given(
    total=st.integers(1, 60),
    length=st.integers(1, 9),
    context=st.integers(0, 7),
    chunk=st.integers(1, 17),
)
def test_blocks_give_each_frame_once_and_the_same_context(
    total: int, length: int, context: int, chunk: int
) -> None:
    whole = blocks(0, total, total, length, context)
    seen = {i: (b.start, b.stop) for b in whole for i in range(b.keep_start, b.keep_stop)}
    assert list(seen) == list(range(total))
    for start in range(0, total, chunk):
        parts = blocks(start, min(start + chunk, total), total, length, context)
        kept = [i for b in parts for i in range(b.keep_start, b.keep_stop)]
        assert kept == list(range(start, min(start + chunk, total)))
        assert all(seen[i] == (b.start, b.stop) for b in parts for i in range(b.keep_start, b.keep_stop))
        (first, last), rows = relative(parts)
        assert rows == [[n - first for n in b] for b in parts]
        assert last == max(b.stop for b in parts)


def test_a_clip_in_one_block_is_the_network_itself(checkpoint: str, network: BasicVSR) -> None:
    clip = moving_clip(3, dtype="float32")
    found = blocks(0, 3, 3, 8, 2)
    out = enlarge_clip(RunContext(), clip, checkpoint, "float32", found, (92, 124), 0)
    torch.testing.assert_close(out.tensor, network(clip.tensor).clamp(0, 1), atol=1e-4, rtol=0)


def test_tiles_and_features_in_files_change_nothing(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, found, size = moving_clip(3, 66, 90, dtype="float32"), blocks(0, 3, 3, 2, 1), (264, 360)
    work = RunContext(work_dir=tmp_path / "work")
    (tmp_path / "work").mkdir()
    whole = enlarge_clip(work, clip, checkpoint, "float32", found, size, 0).tensor
    for kept in (1 << 30, 0):
        monkeypatch.setattr(_clip_super, "_KEPT_BYTES", kept)
        tiled = enlarge_clip(work, clip, checkpoint, "float32", found, size, 60).tensor
        assert (tiled - whole).abs().max() < 1e-4
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_alpha_and_other_sizes(checkpoint: str, channels: int) -> None:
    clip = moving_clip(2, channels=channels)
    out = enlarge_clip(RunContext(), clip, checkpoint, "auto", blocks(0, 2, 2, 8, 2), (46, 62), None)
    assert out.tensor.shape == (2, channels, 46, 62)
    assert out.tensor.dtype == torch.uint8
    if channels == 4:
        expected = clip.like(lanczos(clip.to_float(), (46, 62))).tensor[:, 3:]
        assert torch.equal(out.tensor[:, 3:], expected)


def test_the_kind_follows_the_method() -> None:
    assert Upscale().stream() == Map()
    assert Upscale(method="basicvsr").stream() == Resample()


@pytest.fixture(scope="module")
def weights_cache() -> Path:
    return published("basicvsr-reds4")


@pytest.mark.weights
def test_published_weights_by_chunks(weights_cache: Path) -> None:
    clip = moving_clip(3, 20, 24)
    upscale = Upscale(method="basicvsr", clip=2, context=1)
    whole = upscale.run(RunContext(cache_dir=weights_cache), frames=clip)
    assert whole.tensor.shape == (3, 3, 40, 48)
    assert torch.equal(run_by_chunks(upscale, clip, 2).tensor, whole.tensor)
