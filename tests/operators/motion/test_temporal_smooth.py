from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, RequestError
from flowsynth.core.streams import Resample, Scan, Window
from flowsynth.functional.motion.smooth import gaussian
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames, Tensors
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip


def test_the_kind_follows_the_method() -> None:
    assert TemporalSmooth(radius=3).stream() == Window(3, 3)
    assert TemporalSmooth(method="exponential").stream() == Scan()
    assert TemporalSmooth(method="fastblend", radius=3).stream() == Resample()
    assert TemporalSmooth(method="fastblend", mode="balanced", radius=3).stream() == Window(3, 3)


def test_sigma_defaults_to_half_the_radius() -> None:
    clip = moving_clip(6, dtype="float32")
    out = TemporalSmooth(method="gaussian", radius=4).run(RunContext(), frames=clip)
    torch.testing.assert_close(out.tensor, gaussian(clip.tensor, 0, 6, radius=4, sigma=2.0))


def test_radius_zero_changes_nothing() -> None:
    clip = moving_clip(3)
    for method in ("gaussian", "median", "histogram", "fastblend", "flow"):
        out = TemporalSmooth(method=method, radius=0).run(RunContext(), frames=clip)
        assert torch.equal(out.tensor, clip.tensor)


def test_the_state_is_kept_unrounded() -> None:
    ctx = RunContext()
    TemporalSmooth(method="exponential", alpha=0.3).run(ctx, frames=moving_clip(3))
    assert isinstance(ctx.state, Tensors)
    assert ctx.state.tensors["previous"].dtype == torch.float32


def test_smoothing_steadies_a_noisy_still() -> None:
    still = moving_clip(1, dtype="float32")
    noise = 0.05 * torch.randn(8, *still.frame_shape, generator=torch.Generator().manual_seed(0))
    clip = still.with_data((still.tensor + noise).clamp(0, 1))
    for method in ("gaussian", "median", "exponential"):
        out = TemporalSmooth(method=method, alpha=0.4).run(RunContext(), frames=clip)
        assert out.tensor.diff(dim=0).abs().mean() < 0.6 * clip.tensor.diff(dim=0).abs().mean()


@pytest.mark.parametrize(
    "params", [{"radius": -1}, {"sigma": 0}, {"alpha": 0}, {"alpha": 1.5}, {"radius": 2.5}, {"patch": 4}]
)
def test_values_out_of_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="1 validation error"):
        TemporalSmooth(**params)


@pytest.mark.sample(2)
@pytest.mark.parametrize("mode", ["fast", "balanced", "accurate"])
@pytest.mark.parametrize("detail", [0, 1.5])
def test_fastblend_by_chunks_gives_the_bits_of_the_whole(mode: str, detail: float) -> None:
    clip = moving_clip(13)
    smooth = TemporalSmooth(
        method="fastblend",
        mode=mode,
        radius=4,
        patch=3,
        iterations=1,
        detail=detail,
    )
    whole = smooth.run(RunContext(), frames=clip)
    assert torch.equal(run_by_chunks(smooth, clip, 5).tensor, whole.tensor)
    assert not torch.equal(whole.tensor, clip.tensor)


def test_fastblend_follows_its_guide() -> None:
    clip, still = moving_clip(4), moving_clip(1)
    smooth = TemporalSmooth(method="fastblend", radius=3, patch=3, iterations=1, detail=0)
    guide = still.with_data(still.tensor.expand(4, -1, -1, -1))
    out = smooth.run(RunContext(), frames=clip, guide=guide)
    # A guide that does not move makes every field the identity but for what the style decides.
    mean = clip.to_float().mean(0)
    assert (out.to_float() - mean).abs().mean() < 0.5 * (clip.to_float() - mean).abs().mean()


def test_flow_smooths_noise_along_a_pan_and_keeps_detail() -> None:
    clean = moving_clip(7, height=48, width=64, dtype="float32")
    noise = 0.05 * torch.randn(clean.tensor.shape, generator=torch.Generator().manual_seed(0))
    noisy = clean.with_data((clean.tensor + noise).clamp(0, 1))
    smooth = TemporalSmooth(method="flow", radius=2, detail=0)
    out = smooth.run(RunContext(), frames=noisy, guide=clean)
    plain = TemporalSmooth(radius=2).run(RunContext(), frames=noisy)

    def error(clip: Frames) -> torch.Tensor:
        return (clip.tensor - clean.tensor)[..., 6:-6, 6:-6].square().mean()

    assert error(out) < 0.4 * error(noisy)
    assert error(out) < 0.5 * error(plain)
    assert torch.equal(run_by_chunks(smooth, noisy, 3).tensor, smooth.run(RunContext(), frames=noisy).tensor)


def test_a_frames_own_detail_stays_while_its_brightness_steadies() -> None:
    clean = moving_clip(6, height=40, width=56, dtype="float32")
    lift = torch.tensor([0.0, 0.06, 0.0, 0.06, 0.0, 0.06]).view(6, 1, 1, 1)
    clip = clean.with_data(clean.tensor * 0.9 + lift)
    smooth = TemporalSmooth(method="fastblend", radius=5, iterations=2)
    out = smooth.run(RunContext(), frames=clip, guide=clean)

    def level(x: Frames) -> torch.Tensor:
        return (x.tensor - 0.9 * clean.tensor).mean((1, 2, 3))

    assert level(out).diff().abs().mean() < 0.2 * level(clip).diff().abs().mean()
    fine = [x.tensor.diff(dim=-1).square().mean().sqrt() for x in (clip, out)]
    assert fine[1] > 0.95 * fine[0]


def test_a_clip_that_guides_itself_loses_its_flicker_too() -> None:
    clean = moving_clip(6, height=40, width=56, dtype="float32")
    gains = torch.tensor([1.0, 0.85, 1.0, 0.9, 0.8, 1.0]).view(6, 1, 1, 1)
    clip = clean.with_data(clean.tensor * gains)
    out = TemporalSmooth(method="fastblend", radius=5, iterations=2).run(RunContext(), frames=clip)

    def level(x: Frames) -> torch.Tensor:
        return x.tensor.mean((1, 2, 3)) / clean.tensor.mean((1, 2, 3))

    assert level(out).diff().abs().mean() < 0.15 * level(clip).diff().abs().mean()


def test_a_guide_of_another_size_is_refused() -> None:
    smooth = TemporalSmooth(method="fastblend")
    with pytest.raises(RequestError, match=r"4 frames of 31x23 and 4 frames of 30x23"):
        smooth.run(RunContext(), frames=moving_clip(4), guide=moving_clip(4, width=30))


def test_a_guide_beside_another_method_is_a_fault() -> None:
    faults = TemporalSmooth(method="gaussian").check({"frames": None, "guide": None})
    assert [fault.path for fault in faults] == ["inputs.guide"]
    assert not TemporalSmooth(method="fastblend").check({"frames": None, "guide": None})


def test_fastblend_in_a_streamed_graph_gives_the_bits_of_a_plain_call(tmp_path: Path) -> None:
    smooth = TemporalSmooth(method="fastblend", radius=5, patch=3, iterations=1)
    graph = fs.Graph("smooth")
    clip = graph.add("clip", MovingClip())
    style = graph.add("style", Stylize(), frames=clip)
    graph.add("smooth", smooth, frames=style, guide=clip)
    run = graph.run(cache_dir=tmp_path / "cache", outputs=["smooth"], chunk=8)
    frames = moving_clip(37)
    expected = smooth.run(RunContext(), frames=Stylize().run(RunContext(), frames=frames), guide=frames)
    assert torch.equal(run["smooth"].tensor, expected.tensor)
    again = graph.run(cache_dir=tmp_path / "cache", outputs=["smooth"], chunk=8)
    assert {node.status for node in again.record.nodes.values()} == {"hit"}


def test_clips_of_different_lengths_are_refused_in_a_graph(tmp_path: Path) -> None:
    graph = fs.Graph("smooth")
    clip = graph.add("clip", MovingClip())
    longer = graph.add("longer", Interpolate(factor=2), frames=clip)
    graph.add("smooth", TemporalSmooth(method="fastblend", radius=2), frames=clip, guide=longer)
    with pytest.raises(FlowsynthError, match="equally long"):
        graph.run(cache_dir=tmp_path / "cache", outputs=["smooth"])


@pytest.mark.parametrize("method", ["gaussian", "median", "histogram", "fastblend", "flow"])
def test_a_radius_of_zero_gives_the_very_frames(method: str) -> None:
    clip = moving_clip(5)
    operator = TemporalSmooth.model_validate({"method": method, "radius": 0})
    assert torch.equal(operator.run(RunContext(), frames=clip).tensor, clip.tensor)
    assert torch.equal(run_by_chunks(operator, clip, 2).tensor, clip.tensor)


def test_motion_may_be_estimated_on_smaller_frames() -> None:
    clip = moving_clip(5, 96, 128)
    whole = TemporalSmooth(radius=1, motion_side=0).run(RunContext(), frames=clip).to_float()
    small = TemporalSmooth(radius=1, motion_side=64).run(RunContext(), frames=clip).to_float()
    same = TemporalSmooth(radius=1, motion_side=128).run(RunContext(), frames=clip).to_float()
    assert torch.equal(whole, same)
    assert 0 < (whole - small).abs().mean() < 0.01


def test_broad_flicker_is_evened_out_beyond_the_radius() -> None:
    noise = torch.rand(1, 3, 12, 28, generator=torch.Generator().manual_seed(1))
    wide = torch.nn.functional.interpolate(noise, size=(48, 112), mode="bicubic").clamp(0.1, 0.8)
    guide = torch.cat([wide[..., i : i + 96] for i in range(9)])
    beat = 0.04 * torch.tensor([1.0, 1, -1, -1, 1, 1, -1, -1, 1]).view(-1, 1, 1, 1)
    clips = {"frames": Frames(guide + beat, 24), "guide": Frames(guide, 24)}

    def flicker(radius: int, steady: int) -> float:
        smooth = TemporalSmooth(radius=radius, steady=steady, motion_side=0)
        change = smooth.run(RunContext(), **clips).to_float() - guide
        return float(change.mean((1, 2, 3)).diff().abs().mean())

    none, near, far = flicker(0, 0), flicker(1, 0), flicker(0, 4)
    assert far < 0.7 * near < 0.5 * none, (none, near, far)
    assert TemporalSmooth(radius=1, steady=4).stream() == Window(4, 4)
    (fault,) = TemporalSmooth(method="gaussian", steady=4).check({})
    assert str(fault) == "params.steady: not looked at; expected method flow, or 0; given method gaussian"
