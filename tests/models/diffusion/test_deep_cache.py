"""DeepCache gives what the UNet gives with its deep maps of an earlier step, and leaves their blocks out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
from flowsynth.models.diffusion.deep_cache import put_deep_cache
from flowsynth.models.parse import parse_model
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case
from tests.tiny import tiny_sd

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]


def reuse(net: Any, interval: int) -> None:
    """The same by its definition: everything runs, and the last up block gets what it got before."""
    state: dict[str, Any] = {"step": -1, "time": None, "turn": 0}
    kept: dict[int, torch.Tensor] = {}

    def begin(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        time = float(args[1] if len(args) > 1 else kwargs["timestep"])
        if time != state["time"]:
            state.update(step=state["step"] + 1, time=time, turn=0)
            if state["step"] % interval == 0:
                kept.clear()
        else:
            state["turn"] += 1

    def last(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kept.setdefault(state["turn"], kwargs["hidden_states"])
        return args, {**kwargs, "hidden_states": kept[state["turn"]]}

    net.register_forward_pre_hook(begin, with_kwargs=True)
    net.up_blocks[-1].register_forward_pre_hook(last, with_kwargs=True)


def with_steps(name: str, steps: int = 5, **settings: Any) -> Case:
    base = CASES[name]
    asked = {**base.settings, "num_inference_steps": steps, **settings}
    return Case(base.build, base.text, base.size, asked, base.options, base.frames)


def frames(case: Case, folder: Path, settings: Mapping[str, Any] | None = None, **spec: Any) -> torch.Tensor:
    graph = graph_of(case, folder / "model", settings=settings, **spec)
    made: torch.Tensor = graph.run(cache_dir=folder / "cache", outputs=["frames"])["frames"].tensor
    return made


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "name",
    [
        "StableDiffusionXLPipeline",
        "StableDiffusionControlNetPipeline",
        "AnimateDiffPipeline",
        pytest.param("StableVideoDiffusionPipeline", marks=pytest.mark.slow),
        pytest.param("StableDiffusionInpaintPipeline", marks=pytest.mark.slow),
    ],
)
def test_a_pipeline_gives_what_the_definition_gives(name: str, tmp_path: Path) -> None:
    case = with_steps(name)
    cls = build(case, tmp_path / "model")
    plain = frames(case, tmp_path)
    assert torch.equal(frames(case, tmp_path, step_cache="deepcache:1"), plain)
    third = frames(case, tmp_path, step_cache="deepcache:3")
    expected = by_hand(cls, case, tmp_path / "model", change=lambda pipe: reuse(pipe.unet, 3))
    assert torch.equal(third, expected.float())
    assert not torch.equal(third, plain)


def test_every_window_finds_its_own(tmp_path: Path) -> None:
    base = CASES["AnimateDiffPipeline"]
    size = {"height": 16, "width": 16, "num_frames": 8}
    case = Case(base.build, base.text, size, {"num_inference_steps": 3, "guidance_scale": 5.0})
    build(case, tmp_path / "model")
    windows = {"window": 4, "stride": 2}
    plain = frames(case, tmp_path, windows)
    assert torch.equal(frames(case, tmp_path, windows, step_cache="deepcache:1"), plain)
    skipped = frames(case, tmp_path, windows, step_cache="deepcache:3")
    assert skipped.isfinite().all()
    assert 0 < (skipped - plain).abs().mean() < 0.05, "another window's maps would be far off"


class Counted:
    """A small UNet with calls of its blocks counted."""

    def __init__(self, interval: int) -> None:
        torch.manual_seed(0)
        self.net = pictures.unet().eval()
        self.calls: list[str] = []
        for name in ("down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1"):
            layer = self.net.get_submodule(f"{name}.resnets.0")
            layer.register_forward_hook(lambda *_, name=name: self.calls.append(name))
        put_deep_cache(self.net, interval)

    def __call__(self, t: float, size: int = 8) -> torch.Tensor:
        with torch.no_grad():
            made: torch.Tensor = self.net(
                torch.ones(1, 4, size, size), t, encoder_hidden_states=torch.ones(1, 3, 32)
            ).sample
        return made


def test_deep_blocks_run_at_whole_steps_and_for_what_is_new_to_a_step() -> None:
    net = Counted(3)
    for t in (9, 8, 7, 6, 5):
        net(t)
        net(t)  # without the prompt
    assert net.calls.count("down_blocks.0") == net.calls.count("up_blocks.1") == 10
    assert net.calls.count("mid_block") == net.calls.count("down_blocks.1") == 4
    net.calls.clear()
    net(4)
    net(4)
    net(4)  # a third pass, as at schedulers' second evaluations
    assert net.calls.count("mid_block") == 1
    net.calls.clear()
    net(3)  # whole
    net(2, size=16)
    assert net.calls.count("mid_block") == 2, "another size finds nothing"


def sd_graph(windows: Mapping[str, int], **spec: Any) -> fs.Graph:
    root = tiny_sd()
    graph = fs.Graph("g")
    source = {"family": "sd", "source": str(root / "base"), "motion": str(root / "motion_adapter"), **spec}
    model = graph.model("m", source)
    text = graph.add("text", TextEncode(prompt="a cat"), model=model)
    size = graph.add("size", EmptyLatents(height=16, width=16, num_frames=8), model=model)
    node = Denoise(num_inference_steps=5, guidance_scale=5.0, seed=1, **windows)
    graph.add("denoise", node, model=model, latents=size, conditioning=text)
    return graph


def test_the_own_loop_has_it_too_and_the_model_stays_as_it_is(tmp_path: Path) -> None:
    windows = {"window": 4, "stride": 2}

    def made(**spec: Any) -> torch.Tensor:
        run = sd_graph(windows, **spec).run(cache_dir=tmp_path, outputs=["denoise"])
        found: torch.Tensor = run["denoise"].tensor
        return found

    plain = made()
    assert torch.equal(made(step_cache="deepcache:1"), plain)
    skipped = made(step_cache="deepcache:3")
    assert 0 < (skipped - plain).abs().mean() < plain.std() / 4
    assert torch.equal(made(dtype="float32"), plain)


def test_another_kind_of_network_is_told_what_is_for_it(tmp_path: Path) -> None:
    build(CASES["StableDiffusionXLPipeline"], tmp_path / "xl")
    build(CASES["FluxPipeline"], tmp_path / "flux")
    cases = [
        ("StableDiffusionXLPipeline", "xl", "first_block:0.1", "deepcache:3"),
        ("FluxPipeline", "flux", "deepcache:3", "first_block:0.1"),
    ]
    for name, folder, line, instead in cases:
        with pytest.raises(FlowsynthError, match=rf"step_cache: no use for it; expected {instead}, which is"):
            graph_of(CASES[name], tmp_path / folder, step_cache=line)
    for bad in ("deepcache:0", "deepcache", "deepcache:2.5", "deepcache:-1"):
        with pytest.raises(FlowsynthError, match="step_cache"):
            parse_model("m", {"family": "sd", "source": "x", "step_cache": bad})
