"""Measures colours of latents for `flowsynth.models.latent_rgb`: least squares over a picture.

python -m flowsynth.training.latent_rgb
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import torch

from flowsynth.models.diffusion.vae import latent_space
from flowsynth.models.latent_rgb import FILE

SIDE = 256
_PICTURE = FILE.parent / "pictures" / "astronaut.jpg"


def pictures() -> torch.Tensor:
    """N x 3 x H x W in [0, 1]: a photograph, its channels in every order, and all that light for dark."""
    import numpy as np
    from PIL import Image

    with Image.open(_PICTURE) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    base = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1) / 255
    orders = [base[list(order)] for order in itertools.permutations(range(3))]
    return torch.stack([*orders, *(1 - picture for picture in orders)])


def fit(vae: Any) -> tuple[list[list[float]], list[float], float]:
    """Factors, bias and explained share for a VAE of diffusers.

    Args:
        vae: an `AutoencoderKL`.
    """
    shown = pictures()
    with torch.inference_mode():
        latents = vae.encode(shown * 2 - 1).latent_dist.mean * vae.config.scaling_factor
    small = torch.nn.functional.interpolate(shown, latents.shape[-2:], mode="area")
    x = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1]).double()
    y = small.permute(0, 2, 3, 1).reshape(-1, 3).double()
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    solved = torch.linalg.lstsq(x, y).solution
    r2 = 1 - float((y - x @ solved).square().sum() / (y - y.mean(0)).square().sum())
    *factors, bias = [[round(value, 4) for value in row] for row in solved.tolist()]
    return factors, bias, round(r2, 3)


def main(file: Path = FILE) -> None:
    """Measure the pocket model and write the fits."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(FILE.parent / "pocket" / "vae").eval()
    factors, bias, r2 = fit(vae)
    found = {"factors": factors, "bias": bias, "r2": r2, "model": "shipped:pocket"}
    file.write_text(json.dumps({latent_space(vae.config): found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
