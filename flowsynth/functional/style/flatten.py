"""Flat regions with their edges kept: L0 gradient minimisation."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.style.planes import units

__all__ = ["flatten"]

_MOST = 100.0  # beta at which to stop: past it regions break up, differently in every frame
_BROAD = 3.0  # spread of what stays as it was, in 144ths of the short side
_CHROMA = 1.4  # weight of edges between colours of one brightness


def flatten(ycc: Tensor, strength: float) -> Tensor:
    """Bring a picture to few regions of even colour.

    After Xu, Lu, Xu and Jia, "Image smoothing via L0 gradient minimization", 2011:
    min |S - I|^2 + strength #{p: grad S(p) != 0}, by alternating between gradients that are kept or put to 0
    and a least-squares picture for them, which the Fourier transform solves; beta grows each time. Small
    strong things survive, eyes among them, which a filter of the same reach would smooth away.

    Two things differ, for the sake of clips. A gradient g is not kept or dropped but weighed by
    g^2 / (g^2 + strength / beta), so that a little noise decides little. And what is broad stays as it was
    (the blurred difference is given back): otherwise regions that join or part from frame to frame
    brighten and darken as wholes.

    Args:
        ycc: `(N, 3, H, W)`, Y in [0, 1], signed chroma.
        strength: share of squared contrast that an edge must bring in; 0.004 little, 0.01 much.

    Returns:
        Like `ycc`.
    """
    if strength <= 0:
        return ycc
    height, width = ycc.shape[-2:]
    rows, columns = _transformed_side(height), _transformed_side(width)
    source = torch.cat((ycc[:, :1], ycc[:, 1:] * _CHROMA), dim=1)
    source = F.pad(source, (0, columns - width, 0, rows - height), mode="replicate")
    spectrum, energy = torch.fft.rfft2(source), _gradient_energy(rows, columns, ycc.device)
    flat, beta = source, 2 * strength
    while beta < _MOST:
        right, down = flat.roll(-1, -1).sub_(flat), flat.roll(-1, -2).sub_(flat)
        energy_here = right.square().add_(down.square()).sum(1, keepdim=True)
        weight = energy_here / (energy_here + strength / beta)
        right, down = right.mul_(weight), down.mul_(weight)
        divergence = right.roll(1, -1).sub_(right).add_(down.roll(1, -2)).sub_(down)
        solved = torch.fft.rfft2(divergence).mul_(beta).add_(spectrum).div_(1 + beta * energy)
        flat = torch.fft.irfft2(solved, s=(rows, columns))
        beta *= 4
    flat = (flat + gaussian_blur(source - flat, _BROAD * units(ycc)))[..., :height, :width]
    return torch.cat((flat[:, :1], flat[:, 1:] / _CHROMA), dim=1)


def _transformed_side(length: int) -> int:
    """Return the least length from a side's on that is made of twos, threes and fives.

    A transform of 904 = 8 x 113 takes three times as long as one of 960.
    """
    while (rest := length) > 1:
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            break
        length += 1
    return length


def _gradient_energy(height: int, width: int, device: torch.device) -> Tensor:
    """Return |F(d/dx)|^2 + |F(d/dy)|^2 of the forward differences, as `rfft2` lays frequencies out."""
    across = 2 - 2 * torch.cos(2 * math.pi * torch.fft.rfftfreq(width, device=device))
    along = 2 - 2 * torch.cos(2 * math.pi * torch.fft.fftfreq(height, device=device))
    return across + along[:, None]
