"""HED and soft edges: a tiny network of the published layout, and the published weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.fetch.errors import OfflineError
from flowsynth.operators.control.annotate import Annotate
from flowsynth.values import Frames
from tests.nets.tiny import tiny_hed
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.published import published


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    save_file(tiny_hed().state_dict(), tmp_path / "hed.safetensors")
    return str(tmp_path / "hed.safetensors")


def test_the_network_is_applied(checkpoint: str, dtype: str) -> None:
    clip = moving_clip(2, 22, 30, dtype=dtype)
    out = Annotate(detector="hed", weights=checkpoint).run(RunContext(), frames=clip)
    expected = clip.like(tiny_hed()(clip.to_float())).tensor.expand(-1, 3, -1, -1)
    atol = 1.01 if dtype == "uint8" else 1e-3 if dtype == "float16" else 1e-5
    torch.testing.assert_close(out.tensor.float(), expected.float(), atol=atol, rtol=0)
    assert (out.fps, out.kind, out.parts[0].dtype) == (clip.fps, "hed", clip.parts[0].dtype)


def test_soft_edges_have_a_few_levels(checkpoint: str) -> None:
    clip = moving_clip(1, dtype="float32")
    smooth = Annotate(detector="hed", weights=checkpoint).run(RunContext(), frames=clip).tensor
    for levels in (2, 3, 5):
        operator = Annotate(detector="softedge", weights=checkpoint, levels=levels)
        out = operator.run(RunContext(), frames=clip).tensor
        torch.testing.assert_close(out, (smooth * levels).floor() / (levels - 1))
        assert out.unique().numel() > 1


def test_chunks_and_batches_give_what_a_plain_call_does(checkpoint: str) -> None:
    clip = moving_clip(5)
    operator = Annotate(detector="hed", weights=checkpoint)
    plain = operator.run(RunContext(), frames=clip).tensor
    assert torch.equal(run_by_chunks(operator, clip, 2).tensor, plain)
    together = (
        Annotate(detector="hed", weights=checkpoint, batch_size=3).run(RunContext(), frames=clip).tensor
    )
    assert (together.float() - plain.float()).abs().max() <= 1


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_counts_as_colours_and_alpha_is_dropped(checkpoint: str, channels: int) -> None:
    clip = moving_clip(1, channels=channels, dtype="float32")
    colours = clip.tensor.expand(-1, 3, -1, -1) if channels == 1 else clip.tensor[:, :3]
    operator = Annotate(detector="hed", weights=checkpoint)
    out = operator.run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, operator.run(RunContext(), frames=clip.with_data(colours)).tensor)


def test_weights_are_part_of_the_key_by_content(checkpoint: str, tmp_path: Path) -> None:
    by_file, by_name = Annotate(detector="hed", weights=checkpoint), Annotate(detector="hed")
    assert by_file.files(RunContext()) == {"weights": Path(checkpoint)}
    assert "weights" not in by_file.key_params(["weights"])
    assert len(str(by_name.key_params([])["weights"])) == 64
    assert by_name.files(RunContext()) == {}
    assert Annotate().key_params([])["weights"] is None


def test_mistakes_are_named(tmp_path: Path) -> None:
    (fault,) = Annotate(detector="luma", weights="hed-bsds500").check({})
    assert "params.weights: with detector luma; expected detector depth, hed, lineart" in str(fault)
    with pytest.raises(InputError, match=r"params\.weights: .*did you mean 'hed-bsds500'"):
        Annotate(detector="hed", weights="hed-bsds").files(RunContext())
    save_file({"conv.weight": torch.ones(1)}, tmp_path / "a.safetensors")
    wrong = Annotate(detector="hed", weights=str(tmp_path / "a.safetensors"))
    with pytest.raises(InputError, match=r"a\.safetensors: not a HED checkpoint"):
        wrong.run(RunContext(), frames=moving_clip(1))
    with pytest.raises(OfflineError, match="run 'flowsynth weights fetch hed-bsds500'"):
        Annotate(detector="hed").run(RunContext(cache_dir=tmp_path, offline=True), frames=moving_clip(1))


@pytest.mark.weights
def test_published_edges_lie_where_the_object_ends() -> None:
    """An orange square in front of a blue ground: one line around it, no shift, nothing at the border."""
    ctx = RunContext(cache_dir=published("hed-bsds500"))
    scene = torch.tensor([0.1, 0.25, 0.6]).view(1, 3, 1, 1).repeat(1, 1, 150, 201)
    scene[..., 45:105, 60:140] = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1)
    edges = Annotate(detector="hed").run(ctx, frames=Frames(scene, fps=None)).tensor[0, 0]
    across, down = edges[75], edges[:, 100]
    for line, (first, last) in ((across, (60, 140)), (down, (45, 105))):
        half = len(line) // 2
        assert abs(int(line[:half].argmax()) - first) <= 1
        assert abs(half + int(line[half:].argmax()) - last) <= 1
        assert line.max() > 0.8
        assert line[half] < 0.2
    border = torch.cat((edges[0], edges[-1], edges[:, 0], edges[:, -1]))
    assert border.max() < 0.1
