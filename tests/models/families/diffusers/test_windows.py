"""Windows over time on any denoiser of clips: what they see, what comes out, and what they cost."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.clips import LAYOUTS, ClipLayout
from flowsynth.models.families.diffusers.windows import put_windows
from flowsynth.models.requests import Hooks
from tests.models.families.diffusers.call import build, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Pipe:
    """Holds one denoiser, as a pipeline does."""

    def __init__(self, net: Any) -> None:
        self.transformer = net.eval()


#: Denoiser -> what makes it, and the arguments of a call on some frames of a clip.
Call = Callable[[Any, torch.Tensor], dict[str, Any]]


def cogvideo(net: Any, x: torch.Tensor) -> dict[str, Any]:
    from diffusers import CogVideoXPipeline

    pipe = CogVideoXPipeline.__new__(CogVideoXPipeline)
    pipe.transformer, pipe.vae_scale_factor_spatial = net, 8
    rotary = CogVideoXPipeline._prepare_rotary_positional_embeddings(pipe, 16, 16, x.shape[1], "cpu")
    return {
        "encoder_hidden_states": randn(2, 16, 32),
        "timestep": torch.tensor([5, 5]),
        "image_rotary_emb": rotary,
    }


def wan(_: Any, x: torch.Tensor) -> dict[str, Any]:
    return {"encoder_hidden_states": randn(2, 16, 32), "timestep": torch.tensor([5, 5])}


def vace(_: Any, x: torch.Tensor) -> dict[str, Any]:
    return {**wan(_, x), "control_hidden_states": x.repeat(1, 6, 1, 1, 1)}


def wan_tokens(_: Any, x: torch.Tensor) -> dict[str, Any]:
    frames = x[:, 0, :, ::2, ::2].flatten(
        1
    )  # a time of its own for every token, as Wan 2.2's small model has
    return {"encoder_hidden_states": randn(2, 16, 32), "timestep": frames.abs() * 100}


def ltx(_: Any, x: torch.Tensor) -> dict[str, Any]:
    mask = torch.ones(2, 16, dtype=torch.long)
    return {
        "encoder_hidden_states": randn(2, 16, 32), "encoder_attention_mask": mask,
        "timestep": x[..., 0].abs() * 100, "num_frames": x.shape[1] // 4, "height": 2, "width": 2,
        "rope_interpolation_scale": (1.0, 1.0, 1.0),
    }  # fmt: skip


def hunyuan(_: Any, x: torch.Tensor) -> dict[str, Any]:
    return {
        "encoder_hidden_states": randn(2, 16, 16), "encoder_attention_mask": torch.ones(2, 16),
        "pooled_projections": randn(2, 8), "timestep": torch.tensor([5, 5]),
        "guidance": torch.tensor([6.0, 6.0]),
    }  # fmt: skip


def mochi(_: Any, x: torch.Tensor) -> dict[str, Any]:
    mask = torch.ones(2, 16, dtype=torch.bool)
    states = {"encoder_hidden_states": randn(2, 16, 32), "encoder_attention_mask": mask}
    return {**states, "timestep": torch.tensor([5, 5])}


NETS: dict[str, tuple[Callable[[], Any], Call, tuple[int, ...]]] = {
    "CogVideoX": (lambda: clips.cogvideo_parts(rotary=True)["transformer"], cogvideo, (2, 12, 4, 2, 2)),
    "Wan": (lambda: clips.wan_parts()["transformer"], wan, (2, 16, 12, 2, 2)),
    "Wan 2.2": (lambda: clips.wan_parts()["transformer"], wan_tokens, (2, 16, 12, 2, 2)),
    "VACE": (lambda: clips.wan_vace().transformer, vace, (2, 16, 12, 2, 2)),
    "LTX": (lambda: clips.ltx_parts()["transformer"], ltx, (2, 48, 8)),
    "HunyuanVideo": (lambda: clips.hunyuan_video().transformer, hunyuan, (2, 4, 12, 2, 2)),
    "Mochi": (lambda: clips.mochi().transformer, mochi, (2, 12, 12, 2, 2)),
}


@pytest.mark.parametrize("name", NETS)
def test_a_window_is_a_clip_of_its_own(name: str) -> None:
    """Windows side by side: each gives what the network makes of these frames alone, whatever the class."""
    make, call, shape = NETS[name]
    torch.manual_seed(0)
    net = make().eval()
    layout: ClipLayout = LAYOUTS[type(net).__name__]
    x = randn(*shape)
    halves = x.chunk(2, layout.axis)
    with torch.no_grad():
        expected = [net(hidden_states=half, **call(net, half), return_dict=False)[0] for half in halves]
        put_windows(Pipe(net), layout, 6, 6, Hooks())
        made = net(hidden_states=x, **call(net, x), return_dict=False)[0]
    torch.testing.assert_close(made, torch.cat(expected, layout.axis), rtol=1e-5, atol=1e-6)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("AnimateDiffPipeline", 4),
        ("WanImageToVideoPipeline", 9),
        *(
            pytest.param(name, frames, marks=pytest.mark.slow)
            for name, frames in {
                "StableVideoDiffusionPipeline": 3, "CogVideoXImageToVideoPipeline": 9, "WanVACEPipeline": 9,
                "WanVideoToVideoPipeline": 9, "LTXImageToVideoPipeline": 9, "MochiPipeline": 7,
                "HunyuanVideoPipeline": 9, "SkyReelsV2Pipeline": 9, "AnimateDiffVideoToVideoPipeline": 4,
                "CogVideoXPipeline": 9, "WanPipeline": 9, "LTXPipeline": 9,
                "CogVideoXVideoToVideoPipeline": 9,
            }.items()
        ),
    ],
)  # fmt: skip
def test_one_window_is_none_and_more_are_finite(name: str, window: int, tmp_path: Path) -> None:
    build(CASES[name], tmp_path / "model")
    step = {4: 1, 3: 1, 7: 6, 9: 4}[window]

    def latents(**settings: Any) -> torch.Tensor:
        graph = graph_of(CASES[name], tmp_path / "model", settings=settings)
        made: torch.Tensor = graph.run(cache_dir=tmp_path / "cache", outputs=["denoise"])["denoise"].tensor
        return made

    whole = latents()
    assert torch.equal(latents(window=window), whole)
    smaller = window - step
    cut = latents(window=smaller, stride=step if step <= smaller else None)
    assert cut.shape == whole.shape
    assert cut.isfinite().all()
    assert not torch.equal(cut, whole)


def test_a_window_that_a_model_cannot_have_is_told_before_the_run(tmp_path: Path) -> None:
    build(CASES["WanPipeline"], tmp_path / "wan")
    with pytest.raises(FlowsynthError) as caught:
        graph_of(CASES["WanPipeline"], tmp_path / "wan", settings={"window": 8, "stride": 3})
    assert "params.window: not a length of this model; expected a multiple of 4 frames, and one" in str(
        caught.value
    )
    assert "params.stride: not a step of this model; expected a multiple of 4 frames" in str(caught.value)
    with pytest.raises(FlowsynthError, match=r"params.stride: no window"):
        graph_of(CASES["WanPipeline"], tmp_path / "wan", settings={"stride": 4})
    build(CASES["FluxPipeline"], tmp_path / "flux")
    with pytest.raises(FlowsynthError, match=r"params.window: not for this model; .* makes no clips"):
        graph_of(CASES["FluxPipeline"], tmp_path / "flux", settings={"window": 8})
    build(CASES["AnimateDiffPipeline"], tmp_path / "motion")
    with pytest.raises(FlowsynthError, match=r"params.window: past the motion adapter's position table"):
        graph_of(CASES["AnimateDiffPipeline"], tmp_path / "motion", settings={"window": 40})


class Bytes(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, of those made inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive, self.peak = 0, 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (list, tuple)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: Any) -> None:
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self._seen or not size:
            return
        self._seen.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)

        def freed() -> None:
            self.alive -= size
            self._seen.discard(key)

        weakref.finalize(storage, freed)


def peak(frames: int, length: int) -> int:
    torch.manual_seed(0)
    net = clips.wan_parts()["transformer"].eval()
    put_windows(Pipe(net), LAYOUTS["WanTransformer3DModel"], length, length // 2, Hooks())
    x = randn(2, 16, frames, 8, 8)
    with torch.no_grad(), Bytes() as counted:
        net(hidden_states=x, **wan(net, x), return_dict=False)
    alive: int = counted.peak
    return alive - 2 * x.nbytes  # the clip and the sum over the windows are of its length


def test_memory_is_flat_in_the_clip_s_length() -> None:
    short, long, whole = peak(12, 8), peak(96, 8), peak(32, 32)  # its table of positions ends at 32
    assert long < 1.01 * short
    assert whole > 1.5 * long


def test_overlapping_windows_hide_their_seams() -> None:
    """Equal frames: what differs in the prediction from one to the next comes of the windows alone."""

    def largest_step(stride: int) -> float:
        torch.manual_seed(0)
        net = clips.wan_parts()["transformer"].eval()
        put_windows(Pipe(net), LAYOUTS["WanTransformer3DModel"], 8, stride, Hooks())
        x = randn(1, 16, 1, 4, 4).expand(-1, -1, 40, -1, -1)
        with torch.no_grad():
            made = net(hidden_states=x, **wan(net, x), return_dict=False)[0]
        steps: torch.Tensor = (made[:, :, 1:] - made[:, :, :-1]).abs().amax(dim=(0, 1, 3, 4))
        return float(steps[4:-4].max())

    # The triangles of half-overlapping windows only blend where both have weight; finer strides hide more.
    side_by_side, quarter = largest_step(8), largest_step(2)
    assert quarter < 0.4 * side_by_side
