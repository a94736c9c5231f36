import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.fetch.errors import OfflineError
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames
from tests.nets.tiny import tiny_ifnet
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip
from tests.published import published


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny network of the real structure in the published layout."""
    path = tmp_path_factory.mktemp("rife") / "flownet.pkl"
    torch.save({f"module.{k}": v for k, v in tiny_ifnet(refine=True).state_dict().items()}, path)
    return str(path)


def rife(checkpoint: str, **params: object) -> Interpolate:
    return Interpolate(method="rife", weights=checkpoint, cut=0, **params)


def test_source_frames_stay_and_the_frames_between_depend_on_the_moment(checkpoint: str, dtype: str) -> None:
    clip = moving_clip(3, dtype=dtype)
    out = rife(checkpoint, factor=4).run(RunContext(), frames=clip)
    assert (out.num_frames, out.fps, out.parts[0].dtype) == (12, Fraction(96), clip.parts[0].dtype)
    assert torch.equal(out.tensor[::4], clip.tensor)
    between = out.tensor[1:4].float()
    assert all(not torch.equal(a, b) for a, b in pairwise(between))
    assert torch.equal(out.tensor[9:], clip.tensor[2:].expand(3, -1, -1, -1))


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (61, 41), (64, 128)])
def test_any_size_and_channels(checkpoint: str, refine: bool, channels: int, size: tuple[int, int]) -> None:
    clip = moving_clip(2, *size, channels=channels)
    out = rife(checkpoint, refine=refine).run(RunContext(), frames=clip)
    assert out.tensor.shape == (4, channels, *size)
    if channels == 4:
        colours = rife(checkpoint, refine=refine).run(RunContext(), frames=clip.with_data(clip.tensor[:, :3]))
        assert torch.equal(out.tensor[:, :3], colours.tensor)


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_chunks_give_the_bits_of_a_plain_call(checkpoint: str, chunk: int) -> None:
    operator = rife(checkpoint, fps=60)
    clip = moving_clip(5)
    assert torch.equal(
        run_by_chunks(operator, clip, chunk).tensor, operator.run(RunContext(), frames=clip).tensor
    )


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("size", [(61, 141), (300, 200)])
def test_tiles_show_nowhere(checkpoint: str, refine: bool, size: tuple[int, int]) -> None:
    clip = moving_clip(2, *size, dtype="float32")
    whole, tiled = (
        rife(checkpoint, refine=refine, tile=tile).run(RunContext(), frames=clip).tensor for tile in (0, 64)
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-4)


@pytest.mark.sample(2)
@pytest.mark.parametrize("batch", [2, 3, 64])
@pytest.mark.parametrize("refine", [False, True])
def test_frames_made_together_are_those_made_one_by_one(checkpoint: str, batch: int, refine: bool) -> None:
    clip = moving_clip(4, dtype="float32")
    other = clip.with_data(1 - clip.tensor.flip(-2))
    still = clip.with_data(clip.tensor[3:].expand(2, -1, -1, -1))
    clip = clip.with_data(torch.cat((clip.tensor, still.tensor, other.tensor)))
    alone, together = (
        Interpolate(method="rife", weights=checkpoint, factor=3, refine=refine, batch=n)
        .run(RunContext(), frames=clip)
        .tensor
        for n in (1, batch)
    )
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2])
def test_short_clips(checkpoint: str, length: int) -> None:
    out = rife(checkpoint, factor=3).run(RunContext(), frames=moving_clip(length))
    assert out.num_frames == 3 * length


def test_equal_neighbours_pass_through_without_the_network(tmp_path: Path) -> None:
    clip = moving_clip(1)
    still = replace(clip, data=clip.tensor.expand(3, -1, -1, -1).contiguous())
    out = Interpolate(method="rife", factor=2).run(RunContext(cache_dir=tmp_path, offline=True), frames=still)
    assert torch.equal(out.tensor, clip.tensor.expand(6, -1, -1, -1))


def test_across_a_cut_the_nearer_frame_is_shown(checkpoint: str) -> None:
    one, other = moving_clip(2, 60, 90), moving_clip(2, 60, 90)
    flipped = other.with_data(255 - other.tensor.flip(-2))
    clip = Frames(torch.cat((one.tensor, flipped.tensor)), fps=24)
    out = Interpolate(method="rife", weights=checkpoint, factor=3).run(RunContext(), frames=clip)
    assert torch.equal(out.tensor[4], clip.tensor[1])
    assert torch.equal(out.tensor[5], clip.tensor[2])
    ghost = rife(checkpoint, factor=3).run(RunContext(), frames=clip)
    assert not torch.equal(ghost.tensor[4], clip.tensor[1])


def test_black_frames(checkpoint: str) -> None:
    clip = moving_clip(2, 60, 90)
    dark = Frames(torch.cat((clip.tensor, torch.zeros_like(clip.tensor))), fps=24)
    out = Interpolate(method="rife", weights=checkpoint).run(RunContext(), frames=dark)
    assert torch.equal(out.tensor[2], clip.tensor[1])
    assert out.tensor[3:].max() == 0


def test_without_weights_and_network_one_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match=r"rife-v4.*being offline; run 'flowsynth weights fetch rife-v4'"):
        Interpolate(method="rife").run(RunContext(cache_dir=tmp_path, offline=True), frames=moving_clip(2))


def test_mistakes_are_named(tmp_path: Path) -> None:
    (fault,) = Interpolate(weights="rife-v4").check({})
    assert str(fault) == "params.weights: with method blend; expected method rife; given rife-v4"
    with pytest.raises(InputError, match=r"params\.weights: .* given 'rife-v5'; did you mean 'rife-v4'"):
        Interpolate(method="rife", weights="rife-v5").files(RunContext())
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: not a RIFE v4 checkpoint"):
        rife(str(tmp_path / "a.safetensors")).run(RunContext(), frames=moving_clip(2))


def test_the_key_holds_the_checksum_not_the_name(checkpoint: str, tmp_path: Path) -> None:
    plain, named = Interpolate(method="rife"), Interpolate(method="rife", weights="rife-v4")
    assert plain.key_params(()) == named.key_params(())
    assert len(str(plain.key_params(())["weights"])) == 64
    assert Interpolate().key_params(())["weights"] is None
    own = rife(checkpoint)
    assert own.files(RunContext()) == {"weights": Path(checkpoint)}
    assert "weights" not in own.key_params(own.files(RunContext()))


def test_another_checkpoint_under_the_name_is_another_result(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"

    def run() -> tuple[torch.Tensor, str]:
        graph = fs.Graph("g")
        graph.add("fast", rife(str(path)), frames=graph.add("clip", MovingClip()))
        done = graph.run(cache_dir=tmp_path / "cache", outputs=["fast"])
        return done["fast"].tensor, done.record.nodes["fast"].status

    state = tiny_ifnet().state_dict()
    save_file(state, path)
    first, _ = run()
    assert run()[1] == "hit"
    save_file({k: v * 0.5 for k, v in state.items()}, path)
    second, status = run()
    assert status != "hit"
    assert not torch.equal(first, second)


def test_planning_needs_no_torch_and_no_weights() -> None:
    code = (
        "import sys; from fractions import Fraction; from flowsynth.core.context import RunContext\n"
        "from flowsynth.core.streams import StreamInfo\n"
        "from flowsynth.operators.timing.interpolate import Interpolate\n"
        "op = Interpolate(method='rife', fps=30); op.key_params(op.files(RunContext(offline=True)))\n"
        "op.reads(0, 4, {'frames': StreamInfo(10, Fraction(24))}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def weights_cache() -> Path:
    return published("rife-v4")


@pytest.mark.weights
@pytest.mark.parametrize(("shift", "least"), [(4, 46), (8, 39), (16, 32)])
def test_the_published_weights_find_a_shift(weights_cache: Path, shift: int, least: float) -> None:
    from skimage.data import astronaut

    picture = torch.from_numpy(astronaut()).permute(2, 0, 1)[None]
    views = [picture[..., 64:448, 64 + x : 448 + x] for x in (-shift, 0, shift)]
    clip = Frames(torch.cat((views[0], views[2])), fps=Fraction(12))
    ctx = RunContext(cache_dir=weights_cache)
    found, mixed = (
        op.run(ctx, frames=clip).tensor[1:2].float() - views[1]
        for op in (Interpolate(method="rife"), Interpolate())
    )
    psnr, blend = (float(10 * torch.log10(255**2 / error.square().mean())) for error in (found, mixed))
    assert psnr > least
    assert blend < 20
