"""LPIPS with AlexNet: how different two pictures look (Zhang et al. 2018, version 0.1, linear weights)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "Lpips", "lpips_from_state"]

_WIDTHS = (64, 192, 384, 256, 256)
_POOLED = (0, 1)  # layers whose output is halved before the next
#: ImageNet's mean and deviation for pictures in [-1, 1], as in the published scaling layer.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """The distance of pictures by the features of five layers."""

    #: Below, a layer has nothing left.
    needs = SizeNeeds(least=32)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.heads = nn.ModuleList([nn.Conv2d(width, 1, 1, bias=False) for width in _WIDTHS])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            first: `(N, 3, H, W)` in [0, 1], sides as `needs` says.
            second: the same shape.

        Returns:
            `(N,)`, 0 for equal pictures; about 0.1 for a good likeness, 0.5 for none.
        """
        total = first.new_zeros(len(first))
        pairs = zip(self.layers(first), self.layers(second), strict=True)
        for head, (a, b) in zip(self.heads, pairs, strict=True):
            gap = (_unit(a) - _unit(b)).square()
            total = total + head(gap).mean(dim=(1, 2, 3))
        return total

    def layers(self, picture: Tensor) -> Iterator[Tensor]:
        """Yield what each layer answers to `(N, 3, H, W)` in [0, 1], after its ReLU: `(N, width, h, w)`."""
        shift, scale = (picture.new_tensor(x).view(1, 3, 1, 1) for x in (_SHIFT, _SCALE))
        x = (2 * picture - 1 - shift) / scale
        for i, layer in enumerate(self.features):
            x = F.relu(layer(x))
            yield x
            x = F.max_pool2d(x, 3, stride=2) if i in _POOLED else x


def _unit(features: Tensor) -> Tensor:
    """Scale each pixel's features to length one."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def lpips_from_state(state: State) -> Lpips:
    """Build the network of the published arrays, whose kernels are (height, width, in, out).

    Raises:
        ValueError: the tensors are not LPIPS's.
    """
    named = {}
    for name, tensor in state.items():
        parts = name.split("/")
        kind = {"kernel": "weight", "bias": "bias"}.get(parts[-1], parts[-1])
        if parts[0] == "AlexNet_0" and len(parts) == 3:
            place = f"features.{parts[1].removeprefix('Conv_')}"
        else:
            place = f"heads.{parts[0].removeprefix('NetLinLayer_')}"
        named[f"{place}.{kind}"] = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor
    with torch.device("meta"):
        network = Lpips()
    return load_exactly(network, named, "LPIPS weights")


def _fits(state: State) -> bool:
    return "AlexNet_0/Conv_0/kernel" in state


ARCHITECTURE = Architecture("lpips", "AlexNet_0/Conv_0/kernel", _fits, lpips_from_state)
