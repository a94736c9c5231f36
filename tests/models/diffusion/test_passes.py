"""Family `sd`'s own loop keeps its passes, windows one by one, and goes on after it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

from flowsynth.core.codec import Encoded
from flowsynth.core.errors import CancelledError
from flowsynth.models.diffusion import passes
from flowsynth.models.diffusion.schedulers import make_scheduler
from flowsynth.models.families.sd.denoise import DenoiseInputs, denoise
from flowsynth.models.requests import DenoiseSettings, Hooks
from tests.tiny import tiny_sd

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


class Memory:
    """Keeps parts in memory."""

    def __init__(self) -> None:
        self.parts: dict[str, Encoded] = {}
        self.found = 0

    def find(self, name: str) -> Encoded | None:
        self.found += name in self.parts
        return self.parts.get(name)

    def keep(self, parts: Mapping[str, Encoded], seconds: float) -> None:
        self.parts |= parts


@pytest.fixture(scope="module")
def unet() -> Any:
    base = UNet2DConditionModel.from_pretrained(tiny_sd() / "base" / "unet", local_files_only=True)
    adapter = MotionAdapter.from_pretrained(tiny_sd() / "motion_adapter", local_files_only=True)
    return UNetMotionModel.from_unet2d(base, adapter).eval()


@pytest.mark.parametrize("scheduler", ["ddim", "dpmpp_2m", "euler_a"])
def test_a_stopped_loop_goes_on_where_it_was(
    unet: Any, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(passes, "EVERY_SECONDS", 0.0)
    generator = torch.Generator().manual_seed(0)
    text, negative = (torch.randn(1, 77, 32, generator=generator) for _ in range(2))
    settings = DenoiseSettings(num_inference_steps=3, window=4, stride=2)

    def made(hooks: Hooks) -> torch.Tensor:
        inputs = DenoiseInputs(unet, make_scheduler(scheduler, {}), (6, 4, 8, 8), text, negative)
        return denoise(inputs, settings, hooks)

    def stop(step: int, _total: int) -> None:
        if step == 2:
            raise CancelledError("stopped")

    kept, whole = Memory(), made(Hooks())
    with pytest.raises(CancelledError):
        made(Hooks(progress=stop, kept=kept))
    assert len(kept.parts) == 4, "two steps of two windows"
    assert torch.equal(made(Hooks(kept=kept)), whole)
    assert kept.found == 4
