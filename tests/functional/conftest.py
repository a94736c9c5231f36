"""Real pictures and seeded noise for the tests of tensor functions."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F


@pytest.fixture(scope="session")
def pictures() -> dict[str, Tensor]:
    """Photographs, `(1, 3, 144, W)` in [0, 1]."""
    data = pytest.importorskip("skimage.data")
    found = {}
    for name in ("astronaut", "chelsea", "coffee"):
        picture = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None].float() / 255
        width = round(picture.shape[-1] * 144 / picture.shape[-2])
        found[name] = F.interpolate(picture, size=(144, width), mode="bicubic", antialias=True).clamp(0, 1)
    return found


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)
