import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Window
from flowsynth.operators.optical_flow import OpticalFlow
from flowsynth.operators.warp import Warp
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip


@pytest.mark.parametrize(("direction", "right"), [("next", -2.0), ("previous", 2.0)])
def test_a_pan_is_found(direction: str, right: float) -> None:
    clip = moving_clip(3, height=48, width=64)  # pans by two pixels a frame
    motion = OpticalFlow(direction=direction).run(RunContext(), frames=clip)  # type: ignore[arg-type]
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
    motion = OpticalFlow(direction=direction).run(RunContext(), frames=clip)  # type: ignore[arg-type]
    warped = Warp(direction=direction).run(RunContext(), frames=clip, flow=motion.flow)  # type: ignore[arg-type]
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
