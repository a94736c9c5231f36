from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Window
from flowsynth.fetch.errors import OfflineError
from flowsynth.operators.motion.optical_flow import OpticalFlow
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.motion.warp import Warp
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip
from tests.published import published


@pytest.mark.parametrize(("direction", "right"), [("next", -2.0), ("previous", 2.0)])
def test_a_pan_is_found(direction: str, right: float) -> None:
    clip = moving_clip(3, height=48, width=64)  # pans by two pixels a frame
    motion = OpticalFlow(direction=direction).run(RunContext(), frames=clip)
    assert motion.flow.tensor.shape == (3, 2, 48, 64)
    assert motion.occlusion.tensor.shape == (3, 1, 48, 64)
    inside = motion.flow.tensor[1, :, 8:-8, 8:-8]
    assert float(inside[0].median()) == pytest.approx(right, abs=0.2)
    assert float(inside[1].median()) == pytest.approx(0, abs=0.2)
    assert motion.occlusion.tensor[1].mean() < 0.3
    alone = 2 if direction == "next" else 0
    assert not motion.flow.tensor[alone].any()
    assert motion.occlusion.tensor[alone].all()


@pytest.mark.parametrize("direction", ["next", "previous"])
def test_warped_neighbours_fall_into_place(direction: str) -> None:
    clip = moving_clip(3, height=48, width=64)
    motion = OpticalFlow(direction=direction).run(RunContext(), frames=clip)
    warped = Warp(direction=direction).run(RunContext(), frames=clip, flow=motion.flow)
    assert warped.tensor.dtype == clip.tensor.dtype
    other = clip.tensor[2 if direction == "next" else 0].float()
    visible = 1 - motion.occlusion.tensor[1]
    before = ((other - clip.tensor[1].float()).abs() * visible).mean()
    after = ((warped.tensor[1].float() - clip.tensor[1].float()).abs() * visible).mean()
    assert after < 0.5 * before
    alone = 2 if direction == "next" else 0
    assert torch.equal(warped.tensor[alone], clip.tensor[alone])


def test_a_streamed_graph_gives_plain_calls(tmp_path: object) -> None:
    assert OpticalFlow().stream() == Window(0, 1)
    graph = fs.Graph("motion")
    clip = graph.add("clip", MovingClip())
    motion = graph.add("motion", OpticalFlow(direction="previous"), frames=clip)
    graph.add("warped", Warp(direction="previous"), frames=clip, flow=motion.flow)
    run = graph.run(cache_dir=str(tmp_path), outputs=["motion.flow", "motion.occlusion", "warped"])
    whole = OpticalFlow(direction="previous").run(RunContext(), frames=moving_clip(37))
    assert torch.equal(run["motion.flow"].tensor, whole.flow.tensor)
    assert torch.equal(run["motion.occlusion"].tensor, whole.occlusion.tensor)
    warped = Warp(direction="previous").run(RunContext(), frames=moving_clip(37), flow=whole.flow)
    assert torch.equal(run["warped"].tensor, warped.tensor)


def test_a_flow_of_another_size_is_refused() -> None:
    flow = OpticalFlow().run(RunContext(), frames=moving_clip(3)).flow
    with pytest.raises(RequestError, match="2 of 31x23 and 3 of 31x23"):
        Warp().run(RunContext(), frames=moving_clip(2), flow=flow)


@pytest.fixture(scope="module")
def weights_cache() -> Path:
    return published("basicvsr-reds4")


@pytest.mark.weights
def test_spynet_finds_a_pan(weights_cache: Path) -> None:
    clip = moving_clip(2, height=64, width=96)
    motion = OpticalFlow(method="spynet").run(RunContext(cache_dir=weights_cache), frames=clip)
    inside = motion.flow.tensor[0, :, 12:-12, 12:-12]
    assert float(inside[0].median()) == pytest.approx(-2, abs=0.3)
    assert float(inside[1].median()) == pytest.approx(0, abs=0.3)


@pytest.mark.weights
def test_smoothing_along_spynet(weights_cache: Path) -> None:
    clip = moving_clip(3, height=64, width=96)
    smooth = TemporalSmooth(method="flow", radius=1, estimator="spynet")
    out = smooth.run(RunContext(cache_dir=weights_cache), frames=clip)
    assert (out.tensor.float() - clip.tensor.float()).abs().mean() < 6


def test_the_network_enters_the_key() -> None:
    plain, network = OpticalFlow().key_params(()), OpticalFlow(method="spynet").key_params(())
    assert "weights" not in plain
    assert len(str(network["weights"])) == 64
    assert "weights" not in TemporalSmooth(method="gaussian", estimator="spynet").key_params(())
    assert "weights" in TemporalSmooth(method="flow", estimator="spynet").key_params(())


def test_missing_weights_offline_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match="flowsynth weights fetch basicvsr-reds4"):
        OpticalFlow(method="spynet").run(RunContext(cache_dir=tmp_path, offline=True), frames=moving_clip(2))
