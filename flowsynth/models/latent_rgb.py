"""Colours of latents without their decoder: a linear function of a latent pixel's channels.

A fit by least squares for each latent space, measured by `flowsynth.training.latent_rgb`, kept with the share
of variance that it explains; good enough to see what a denoiser is about, never part of a result.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

FILE = Path(__file__).resolve().parents[1] / "assets" / "latent_rgb.json"


class LatentRgb(NamedTuple):
    """A fit.

    Attributes:
        factors: for each channel of the latents, what it adds to red, green and blue in [0, 1].
        bias: red, green and blue where all channels are 0.
        r2: share of the colours' variance that the fit explains, on what it was measured on.
        model: whose VAE it was measured on.
    """

    factors: list[list[float]]
    bias: list[float]
    r2: float
    model: str


@cache
def fits() -> dict[str, LatentRgb]:
    """All fits by the name of the latent space."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return {space: LatentRgb(**fit) for space, fit in data.items()}


def coloured(latents: torch.Tensor, space: str) -> NDArray[Any] | None:
    """T x 3 x h x w of bytes; None for a space without a fit, or latents of other channels.

    Args:
        latents: T x C x h x w.
        space: the latents'.
    """
    import torch

    fit = fits().get(space)
    if fit is None or latents.ndim != 4 or latents.shape[1] != len(fit.factors):
        return None
    data = latents.detach().to("cpu", torch.float32)
    rgb = torch.einsum("tchw,ck->tkhw", data, torch.tensor(fit.factors))
    rgb = rgb + torch.tensor(fit.bias)[:, None, None]
    shown: NDArray[Any] = rgb.clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return shown
