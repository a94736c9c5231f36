"""SPyNet and BasicVSR: layouts, sizes, what depends on what, and the true weights."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from flowsynth.functional.motion.optical_flow import warp
from flowsynth.functional.picture.warp import pixel_grid
from flowsynth.nets.clip_upscaling.basicvsr import BasicVSR, basicvsr_from_state
from flowsynth.nets.motion.spynet import SPyNet, spynet_from_state
from flowsynth.nets.staged import Stage
from flowsynth.weights.store import fetch_weights
from tests.published import published


@pytest.fixture(scope="module")
def tiny() -> BasicVSR:
    torch.manual_seed(0)
    return BasicVSR(width=6, blocks=1).eval().requires_grad_(False)


def clip(length: int, height: int = 17, width: int = 21) -> Tensor:
    return torch.rand(length, 3, height, width, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("size", [(1, 1), (17, 21), (32, 64), (40, 33)])
def test_flow_of_any_size(tiny: BasicVSR, size: tuple[int, int]) -> None:
    frames = clip(2, *size)
    flow = tiny.spynet(frames[:1], frames[1:])
    assert flow.shape == (1, 2, *size)
    assert flow.isfinite().all()


def test_a_wider_picture_has_longer_vectors(tiny: BasicVSR) -> None:
    """The network sees 32 x 32 either way; vectors are in pixels of what was given."""
    frames = clip(2, 32, 32)
    stretched = torch.nn.functional.interpolate(frames, size=(32, 31), mode="nearest")
    flow = tiny.spynet(stretched[:1], stretched[1:])
    enlarged = torch.nn.functional.interpolate(stretched, size=(32, 32), mode="bilinear")
    wide = tiny.spynet(enlarged[:1], enlarged[1:])
    resized = torch.nn.functional.interpolate(wide, size=(32, 31), mode="bilinear")
    torch.testing.assert_close(flow[:, 0], resized[:, 0] * 31 / 32)
    torch.testing.assert_close(flow[:, 1], resized[:, 1])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_clip_is_enlarged_by_four(tiny: BasicVSR, length: int) -> None:
    out = tiny(clip(length))
    assert out.shape == (length, 3, 68, 84)
    assert out.isfinite().all()


def test_every_frame_draws_on_all_others(tiny: BasicVSR) -> None:
    frames = clip(4)
    out = tiny(frames)
    for changed in range(4):
        other = frames.clone()
        other[changed] = 1 - other[changed]
        differs = (tiny(other) - out).abs().amax((1, 2, 3)) > 0
        assert differs.all()


def test_frames_that_are_only_drawn_on_are_not_enlarged(tiny: BasicVSR) -> None:
    frames = clip(5)
    for keep in (range(5), range(1, 3), range(4, 5)):
        made = list(tiny.frames(frames, keep))
        assert torch.equal(torch.cat(made), tiny(frames)[keep.start : keep.stop])


def test_a_stage_sees_no_farther_than_it_says(tiny: BasicVSR) -> None:
    reached: dict[int, bool] = {}

    def each(stage: Stage, x: Tensor) -> Tensor:
        centre, other = x.shape[-1] // 2, x.clone()
        got = stage.apply(x)
        other[..., centre + stage.halo + 1 :] += 1
        assert torch.equal(got[..., : centre * stage.scale], stage.apply(other)[..., : centre * stage.scale])
        if x.shape[-1] >= 32:
            other = x.clone()
            other[..., centre + stage.halo - 1 :] += 1
            changed = stage.apply(other)[..., : centre * stage.scale]
            reached[stage.halo] = bool((changed != got[..., : centre * stage.scale]).any())
        return got

    list(tiny.frames(clip(2, 33, 64), range(2), each))
    assert reached == {1: True, 2: True, 15: True}


def test_double_precision_is_kept_throughout(tiny: BasicVSR) -> None:
    frames = clip(2)
    exact = spynet_from_state(tiny.spynet.state_dict()).double()(frames[:1].double(), frames[1:].double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(tiny.spynet(frames[:1], frames[1:]).double(), exact, atol=1e-4, rtol=0)


def test_a_checkpoint_loads_by_its_own_width_and_depth(tiny: BasicVSR) -> None:
    frames = clip(2)
    loaded = basicvsr_from_state(tiny.state_dict())
    assert torch.equal(loaded(frames), tiny(frames))
    flow = spynet_from_state(tiny.state_dict())
    assert torch.equal(flow(frames[:1], frames[1:]), tiny.spynet(frames[:1], frames[1:]))
    alone = spynet_from_state(tiny.spynet.state_dict())
    assert torch.equal(alone(frames[:1], frames[1:]), tiny.spynet(frames[:1], frames[1:]))


def test_other_checkpoints_are_refused(tiny: BasicVSR) -> None:
    with pytest.raises(ValueError, match=r"'fusion\.weight'"):
        basicvsr_from_state({})
    with pytest.raises(ValueError, match="not a SPyNet checkpoint: it has no tensor"):
        spynet_from_state({"a": torch.ones(1)})
    state = {**tiny.state_dict(), "more": torch.ones(1)}
    with pytest.raises(ValueError, match="it has a tensor 'more'"):
        basicvsr_from_state(state)


@pytest.fixture(scope="module")
def reds4() -> dict[str, Tensor]:
    return load_file(fetch_weights("basicvsr-reds4", published("basicvsr-reds4", clip="bikes")))


@pytest.mark.weights
def test_published_flow_follows_a_turn_and_a_zoom(reds4: dict[str, Tensor]) -> None:
    data = pytest.importorskip("skimage.data")
    second = torch.from_numpy(data.chelsea()[:256, 60:316].copy()).permute(2, 0, 1)[None].float() / 255
    grid = pixel_grid(second) - 127.5
    matrix = 1.03 * torch.tensor([[math.cos(0.05), -math.sin(0.05)], [math.sin(0.05), math.cos(0.05)]])
    true = torch.einsum("ij,bjhw->bihw", matrix, grid) - grid
    network: SPyNet = spynet_from_state(reds4)
    error = (network(warp(second, true), second) - true).square().sum(1).sqrt()
    assert float(error[:, 24:-24, 24:-24].mean()) < 0.15


@pytest.mark.weights
@pytest.mark.slow
def test_published_basicvsr_beats_bicubic_by_three_decibels(reds4: dict[str, Tensor]) -> None:
    from flowsynth.core.context import RunContext
    from flowsynth.functional.measure.metrics import mean_squared_error, psnr
    from flowsynth.functional.picture.resize import bicubic
    from flowsynth.operators.files.read_video import ReadVideo

    clip = ReadVideo(path="clip:bikes", start="86f", max_frames=4).run(RunContext()).to_float()
    small = bicubic(clip, (68, 160)).clamp(0, 1)
    network = basicvsr_from_state(reds4)
    with torch.inference_mode():
        large = network(small).clamp(0, 1)
    plain = bicubic(small, (272, 640)).clamp(0, 1)
    figures = [psnr(float(mean_squared_error(x, clip).mean())) for x in (large, plain)]
    assert figures[0] > figures[1] + 3
