"""Smoothing of the clean clip inside any pipeline's loop: what is shown to it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, RequestError
from flowsynth.models import Model
from flowsynth.models.parse import parse_model
from flowsynth.models.requests import (
    DecodeSettings,
    DeflickerRequest,
    DenoiseRequest,
    DenoiseSettings,
    Hooks,
    TextRequest,
)
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.values import Latents
from tests.models.families.diffusers.call import build, clip_of, graph_of, noise, size_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]

Smooth = Callable[[torch.Tensor], torch.Tensor]
#: Class -> whether its last prediction of x_0 is what its loop ends with.
LAST = {
    "AnimateDiffPipeline": False,
    "WanPipeline": True,
    "LTXPipeline": True,
    "StableVideoDiffusionPipeline": True,
    "CogVideoXImageToVideoPipeline": False,
    "HunyuanVideoPipeline": True,
}
QUICK = ("AnimateDiffPipeline", "WanPipeline", "LTXPipeline")


class Calls:
    """A case's `denoise` with a smoothing, without a graph around it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.case: Case = CASES[name]
        build(self.case, folder)
        self.ctx = RunContext()
        self.model = Model(parse_model("m", {"family": "diffusers", "source": str(folder)}))
        self.loaded: Any = self.model.load(self.ctx)
        self.size = size_of(self.case)
        self.latents = EmptyLatents(**self.size).run(self.ctx, model=self.model)

    def denoise(self, smooth: Smooth | None, step: int) -> Latents:
        case, text = self.case, dict(self.case.text or {})
        request = TextRequest(
            prompt={0: text.pop("prompt", "")},
            negative_prompt={0: text.pop("negative_prompt", "")},
            options=text,
        )
        words = None if case.text is None else self.loaded.encode_text(request, Hooks())
        size = self.size["height"], self.size["width"]
        asked = None if smooth is None else DeflickerRequest(frozenset({step}), smooth, size)
        settings = DenoiseSettings(options=case.options, **case.settings)
        pictures = {port: [noise(**clip_of(case, port))] for port in case.frames}
        made: Latents = self.loaded.denoise(
            DenoiseRequest(settings, self.latents, words, pictures=pictures, deflicker=asked)
        )
        return made

    def frames(self, latents: Latents) -> torch.Tensor:
        made: torch.Tensor = self.loaded.decode_latents(latents, DecodeSettings())
        return made


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LAST]
)
def test_what_is_smoothed_is_the_clip_and_a_smoothing_that_does_nothing_changes_no_bit(
    name: str, tmp_path: Path
) -> None:
    calls, seen = Calls(name, tmp_path / "model"), []

    def look(frames: torch.Tensor) -> torch.Tensor:
        seen.append(frames)
        return frames

    plain, looked = calls.denoise(None, 1), calls.denoise(look, 1)
    assert torch.equal(plain.tensor, looked.tensor)
    frames = calls.frames(plain)
    assert seen[0].shape == frames.shape
    if LAST[name]:
        torch.testing.assert_close(seen[0], frames, atol=2e-3, rtol=0)

    def grey(frames: torch.Tensor) -> torch.Tensor:
        return frames.mean(dim=0, keepdim=True).expand_as(frames)

    steered = calls.denoise(grey, 1)
    assert steered.tensor.isfinite().all()
    assert not torch.equal(steered.tensor, plain.tensor)


def test_a_graph_smooths_and_impossible_steps_are_told(tmp_path: Path) -> None:
    case = CASES["WanPipeline"]
    build(case, tmp_path / "model")

    def latents(**settings: Any) -> torch.Tensor:
        graph = graph_of(case, tmp_path / "model", settings=settings)
        made: torch.Tensor = graph.run(cache_dir=tmp_path / "cache", outputs=["denoise"])["denoise"].tensor
        return made

    plain, smooth = latents(), latents(deflicker=(0,), window=9)
    assert smooth.isfinite().all()
    assert not torch.equal(plain, smooth)
    with pytest.raises(FlowsynthError, match=r"params.deflicker: no such step; expected 0 to 1"):
        latents(deflicker=(2,))
    build(CASES["FluxPipeline"], tmp_path / "flux")
    with pytest.raises(FlowsynthError, match=r"params.deflicker: not for this model; .* makes no clips"):
        graph_of(CASES["FluxPipeline"], tmp_path / "flux", settings={"deflicker": (0,)})


def test_a_scheduler_that_shows_no_clean_clip_is_refused(tmp_path: Path) -> None:
    calls = Calls("AnimateDiffPipeline", tmp_path / "model")
    calls.case = Case(
        calls.case.build, calls.case.text, calls.case.size, {**calls.case.settings, "scheduler": "heun"}
    )
    with pytest.raises(RequestError, match="deflicker does not work with HeunDiscreteScheduler"):
        calls.denoise(lambda frames: frames, 0)
