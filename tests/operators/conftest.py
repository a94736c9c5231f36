"""Clips and contexts for the tests of operators."""

from fractions import Fraction

import pytest
import torch
from torch.nn import functional as F

from flowsynth.core.context import RunContext
from flowsynth.models import ModelManager
from flowsynth.values import Frames
from tests.functional.conftest import pictures

__all__ = ["dtype", "moving_clip", "pictures"]


@pytest.fixture(scope="module")
def manager() -> ModelManager:
    return ModelManager("cpu", 10**9)


@pytest.fixture
def ctx(manager: ModelManager) -> RunContext:
    return RunContext(models=manager)


def moving_clip(
    length: int, height: int = 23, width: int = 31, dtype: str = "uint8", channels: int = 3
) -> Frames:
    """A smooth picture that pans, with some noise; the same for the same arguments."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, channels, 6, 9, generator=generator)
    scene = F.interpolate(coarse, size=(height, width + 2 * length), mode="bicubic").clamp(0.02, 0.98)[0]
    data = torch.stack([scene[:, :, 2 * t : 2 * t + width] for t in range(length)])
    data = (data + 0.02 * torch.randn(data.shape, generator=generator)).clamp(0, 1)
    data = data.mul(255).round().to(torch.uint8) if dtype == "uint8" else data.to(getattr(torch, dtype))
    return Frames(data, fps=Fraction(24))


@pytest.fixture(params=["uint8", "float32", "float16"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)
