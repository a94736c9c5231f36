import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.core.context import Portions, RunContext
from flowsynth.core.errors import InputError, RequestError
from flowsynth.fetch.errors import OfflineError
from flowsynth.functional.picture.resize import bicubic, lanczos
from flowsynth.nets.architecture import SizeNeeds
from flowsynth.nets.staged import Apply, Stage, StagedNetwork
from flowsynth.operators.size import _super
from flowsynth.operators.size.upscale import Upscale
from tests.nets.tiny import tiny_rrdbnet, tiny_srvgg
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.published import published

NETWORKS: dict[str, Callable[[], StagedNetwork]] = {
    "compact": tiny_srvgg,
    "rrdb": tiny_rrdbnet,
    "rrdb x2": lambda: tiny_rrdbnet(2, 2),
}


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> StagedNetwork:
    return NETWORKS[request.param]()


@pytest.fixture
def checkpoint(tmp_path: Path, network: StagedNetwork) -> str:
    torch.save({"params_ema": network.state_dict()}, tmp_path / "net.pth")
    return str(tmp_path / "net.pth")


def upscale(checkpoint: str, **params: object) -> Upscale:
    return Upscale(method="network", weights=checkpoint, **params)


def test_the_network_is_applied(checkpoint: str, network: StagedNetwork, dtype: str) -> None:
    clip = moving_clip(2, 22, 30, dtype=dtype)
    out = upscale(checkpoint, factor=network.scale, fidelity=0).run(RunContext(), frames=clip)
    expected = clip.like(network(clip.to_float())).tensor
    atol = 1.01 if dtype == "uint8" else 1e-3 if dtype == "float16" else 1e-5
    torch.testing.assert_close(out.tensor.float(), expected.float(), atol=atol, rtol=0)
    assert (out.fps, out.kind, out.parts[0].dtype) == (clip.fps, clip.kind, clip.parts[0].dtype)


@pytest.mark.sample(8)
@pytest.mark.parametrize("size", [(1, 1), (61, 41), (128, 75)])
@pytest.mark.parametrize("tile", [1, 24, 50])
def test_tiles_leave_no_seam(checkpoint: str, size: tuple[int, int], tile: int) -> None:
    clip = moving_clip(1, *size, dtype="float32")
    whole = upscale(checkpoint, tile=0).run(RunContext(), frames=clip).tensor
    tiled = upscale(checkpoint, tile=tile).run(RunContext(), frames=clip).tensor
    assert (whole - tiled).abs().max() < 1e-4


def test_with_little_memory_tiles_are_smaller(checkpoint: str, network: StagedNetwork) -> None:
    clip = moving_clip(1, 90, 300, dtype="float32")
    short = RunContext(portions=Portions(2))
    whole = upscale(checkpoint).run(RunContext(), frames=clip).tensor
    tiled = upscale(checkpoint).run(short, frames=clip).tensor
    assert short.portions.less
    assert 0 < (whole - tiled).abs().max() < 1e-4


def test_fidelity_brings_the_source_back(checkpoint: str) -> None:
    clip = moving_clip(1, 24, 30, dtype="float32")
    errors = []
    for steps in (0, 1, 4):
        out = upscale(checkpoint, fidelity=steps).run(RunContext(), frames=clip)
        errors.append(float((bicubic(out.tensor, (24, 30)) - clip.tensor).abs().mean()))
    assert errors[2] < 0.5 * errors[1] < 0.25 * errors[0]


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha(checkpoint: str, channels: int) -> None:
    clip = moving_clip(2, 13, 17, channels=channels, dtype="float32")
    out = upscale(checkpoint, factor=3).run(RunContext(), frames=clip)
    assert out.tensor.shape == (2, channels, 39, 51)
    if channels == 4:
        assert torch.equal(out.tensor[:, 3:], lanczos(clip.tensor[:, 3:], (39, 51)).clamp(0, 1))
        colours = upscale(checkpoint, factor=3).run(RunContext(), frames=clip.with_data(clip.tensor[:, :3]))
        assert torch.equal(out.tensor[:, :3], colours.tensor)


def test_chunks_give_the_bits_of_a_plain_call(checkpoint: str) -> None:
    clip = moving_clip(5)
    operator = upscale(checkpoint, height=40)
    assert torch.equal(
        run_by_chunks(operator, clip, 2).tensor, operator.run(RunContext(), frames=clip).tensor
    )


def test_half_precision_is_near(checkpoint: str) -> None:
    clip = moving_clip(1, 24, 24, dtype="float32")
    exact, half = (
        upscale(checkpoint, precision=p).run(RunContext(), frames=clip).tensor for p in ("auto", "bfloat16")
    )
    assert 0 < (exact - half).abs().mean() < 0.05


def test_mistakes_are_named(tmp_path: Path) -> None:
    for params, given in (({"method": "network"}, "none"), ({"weights": "a.pth"}, "a.pth")):
        (fault,) = Upscale(**params).check({})
        assert f"weights {given}, method" in str(fault)
    with pytest.raises(InputError, match=r"expected a checkpoint file or one of .*realesr-animevideo"):
        upscale(str(tmp_path / "none.pth")).files(RunContext())
    save_file({"conv.weight": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(
        InputError, match=r"a\.safetensors: not a checkpoint of a known network for upscaling"
    ):
        upscale(str(tmp_path / "a.safetensors")).run(RunContext(), frames=moving_clip(1))


def test_without_weights_and_network_one_message_says_what_to_do(tmp_path: Path) -> None:
    ctx = RunContext(cache_dir=tmp_path, offline=True)
    with pytest.raises(OfflineError, match="run 'flowsynth weights fetch realesrgan-x4plus-anime'"):
        Upscale(method="x4plus-anime").run(ctx, frames=moving_clip(1))


def test_planning_needs_no_torch_and_no_weights() -> None:
    code = (
        "import sys; from flowsynth.core.context import RunContext\n"
        "from flowsynth.operators.size.upscale import Upscale\n"
        "op = Upscale(method='realesr-animevideo'); params = op.key_params(op.files(RunContext()))\n"
        "assert len(params['weights']) == 64; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.weights
def test_the_published_compact_network_keeps_the_picture_and_sharpens_it() -> None:
    from skimage.data import astronaut

    from flowsynth.values import Frames

    ctx = RunContext(cache_dir=published("realesr-animevideo"))
    picture = torch.from_numpy(astronaut()).permute(2, 0, 1)[None, :, 64:320, 128:384]
    small = Frames(picture, fps=None)
    small = Upscale(method="bicubic", factor=0.5).run(RunContext(), frames=small)
    sharp, soft = (
        Upscale(method=m).run(ctx, frames=small).tensor.float() for m in ("realesr-animevideo", "bicubic")
    )
    assert 10 * torch.log10(255**2 / (sharp - picture).square().mean()) > 25
    energy = [x.diff(dim=-1).abs().mean() for x in (sharp, soft, picture.float())]
    assert energy[1] < energy[0]


def test_a_tile_follows_from_the_memory_that_a_stage_may_take(
    checkpoint: str, network: StagedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = moving_clip(1, 61, 90, dtype="float32")
    whole = upscale(checkpoint, tile=0).run(RunContext(), frames=clip).tensor
    assert torch.equal(upscale(checkpoint).run(RunContext(), frames=clip).tensor, whole)

    monkeypatch.setattr(_super, "_STAGE_BYTES", 400_000)
    sizes: list[tuple[int, int]] = []

    def watched(stage: Stage) -> Stage:
        def apply(x: torch.Tensor) -> torch.Tensor:
            sizes.append((x.shape[-2] * x.shape[-1], stage.numbers))
            return stage.apply(x)

        return stage._replace(apply=apply)

    run = type(network).run
    monkeypatch.setattr(
        type(network), "run", lambda self, x, each: run(self, x, lambda stage, v: each(watched(stage), v))
    )
    tiled = upscale(checkpoint).run(RunContext(), frames=clip).tensor
    assert (whole - tiled).abs().max() < 1e-4
    assert all(pixels * numbers * 4 <= 400_000 for pixels, numbers in sizes)
    assert len({pixels for pixels, _ in sizes}) > 1


@pytest.mark.weights
@pytest.mark.slow
def test_at_twice_the_size_the_compact_network_looks_closer_than_bicubic() -> None:
    from skimage.data import astronaut

    from flowsynth.operators.measure.measure import Measure
    from flowsynth.values import Frames

    published("lpips-alex")
    ctx = RunContext(cache_dir=published("realesr-animevideo"))
    picture = Frames(torch.from_numpy(astronaut()).permute(2, 0, 1)[None], fps=None)
    small = Upscale(method="bicubic", factor=0.5).run(ctx, frames=picture)
    ours, bicubics = (
        Measure(lpips=True).run(ctx, frames=Upscale(method=m).run(ctx, frames=small), reference=picture)
        for m in ("realesr-animevideo", "bicubic")
    )
    assert ours.values["lpips"] < 0.75 * bicubics.values["lpips"]
    assert ours.values["psnr"] > bicubics.values["psnr"]


class Blurred(StagedNetwork):
    """Sees a frame whole: every pixel depends on all others."""

    needs = SizeNeeds(multiple=4)

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()), requires_grad=False)

    def run(self, x: torch.Tensor, each: Apply) -> torch.Tensor:
        return each(
            Stage(lambda part: self.gain * part.mean((-1, -2), keepdim=True).expand_as(part), 0, 1, 9), x
        )


def test_a_network_that_cannot_be_tiled_is_given_frames_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = moving_clip(1, 100, 4, dtype="float32").tensor
    monkeypatch.setattr(_super, "_STAGE_BYTES", 1000)
    made = _super.enlarge(frame, Blurred(), None, (100, 4))
    assert made.shape == frame.shape
    assert (made - made[..., :1, :1]).abs().max() < 1e-6
    with pytest.raises(RequestError, match=r"params\.tile: expected null or 0"):
        _super.enlarge(frame, Blurred(), 64, (100, 4))
