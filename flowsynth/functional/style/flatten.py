"""Flat regions with their edges kept: L0 gradient minimisation."""

import math

import torch
from torch import Tensor

__all__ = ["flatten"]

_MOST = 100.0  # beta at which to stop: past it regions break up, differently in every frame
_CHROMA = 1.4  # weight of edges between colours of one brightness


def flatten(ycc: Tensor, strength: float) -> Tensor:
    """Bring a picture to few regions of even colour.

    After Xu, Lu, Xu and Jia, "Image smoothing via L0 gradient minimization", 2011:
    min |S - I|^2 + strength #{p: grad S(p) != 0}, by alternating between gradients that are kept or put to 0
    and a least-squares picture for them, which the Fourier transform solves; beta doubles each time. Small
    strong things survive, eyes among them, which a filter of the same reach would smooth away.

    Args:
        ycc: `(N, 3, H, W)`, Y in [0, 1], signed chroma.
        strength: share of squared contrast that an edge must bring in; 0.004 little, 0.01 much.

    Returns:
        Like `ycc`.
    """
    if strength <= 0:
        return ycc
    height, width = ycc.shape[-2:]
    source = torch.cat((ycc[:, :1], ycc[:, 1:] * _CHROMA), dim=1)
    spectrum, energy = torch.fft.rfft2(source), _gradient_energy(height, width, ycc.device)
    flat, beta = source, 2 * strength
    while beta < _MOST:
        right, down = flat.roll(-1, -1) - flat, flat.roll(-1, -2) - flat
        weak = (right.square() + down.square()).sum(1, keepdim=True) < strength / beta
        right, down = right.masked_fill(weak, 0), down.masked_fill(weak, 0)
        divergence = right.roll(1, -1) - right + down.roll(1, -2) - down
        solved = (spectrum + beta * torch.fft.rfft2(divergence)) / (1 + beta * energy)
        flat = torch.fft.irfft2(solved, s=(height, width))
        beta *= 4
    return torch.cat((flat[:, :1], flat[:, 1:] / _CHROMA), dim=1)


def _gradient_energy(height: int, width: int, device: torch.device) -> Tensor:
    """Return |F(d/dx)|^2 + |F(d/dy)|^2 of the forward differences, as `rfft2` lays frequencies out."""
    across = 2 - 2 * torch.cos(2 * math.pi * torch.fft.rfftfreq(width, device=device))
    along = 2 - 2 * torch.cos(2 * math.pi * torch.fft.fftfreq(height, device=device))
    return across + along[:, None]
