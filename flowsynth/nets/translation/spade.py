"""SPADE, the generator of GauGAN: labels of pixels to a picture (Park et al., arXiv 1903.07291).

Written from the paper (section 3 and appendix A). Names of tensors are those of the authors' checkpoints;
spectral normalisation is folded into the weights when they are loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.spectral import folded
from flowsynth.nets.translator import PictureTranslator

__all__ = ["ARCHITECTURE", "Spade", "spade_from_state"]

_WHAT = "a checkpoint of SPADE"
_HALVED = 5  # times that the labels are reduced for the beginning


class _Statistics(nn.Module):
    """Batch normalisation without scale: by the file's statistics, or where it has none by the picture's."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, kept: bool) -> None:
        super().__init__()
        self.kept = kept
        if kept:
            self.register_buffer("running_mean", torch.zeros(width))
            self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if self.kept:
            return F.batch_norm(x, self.running_mean, self.running_var)
        return F.instance_norm(x)


class _SpatialNorm(nn.Module):
    """Normalises, then scales and moves every place by what its labels say (equation 1)."""

    def __init__(self, width: int, labels: int, hidden: int, kept: bool) -> None:
        super().__init__()
        self.param_free_norm = _Statistics(width, kept)
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, width, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        seen = self.mlp_shared(F.interpolate(labels, size=x.shape[-2:], mode="nearest"))
        return self.param_free_norm(x) * (1 + self.mlp_gamma(seen)) + self.mlp_beta(seen)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """A residual block of two convolutions (figure 11); where the width changes, the way round learns too."""

    def __init__(self, inputs: int, outputs: int, labels: int, hidden: int, kept: bool) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0 = _SpatialNorm(inputs, labels, hidden, kept)
        self.norm_1 = _SpatialNorm(middle, labels, hidden, kept)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.learned = inputs != outputs
        if self.learned:
            self.norm_s = _SpatialNorm(inputs, labels, hidden, kept)
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        around = self.conv_s(self.norm_s(x, labels)) if self.learned else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, labels), 0.2))
        return around + self.conv_1(F.leaky_relu(self.norm_1(x, labels), 0.2))  # type: ignore[no-any-return]


class Spade(PictureTranslator):
    """The generator without an encoder of styles.

    Args:
        num_labels: channels that it reads: classes, one for unknown, maybe one for edges of instances.
        width: channels of the last block.
        hidden: channels inside the normalisation.
        kept: whether statistics are in the file.
    """

    reads = "labels"
    needs = SizeNeeds(multiple=2**_HALVED, least=2**_HALVED)

    def __init__(self, num_labels: int, width: int = 64, hidden: int = 128, kept: bool = True) -> None:
        super().__init__()
        self.num_labels = num_labels

        def block(inputs: int, outputs: int) -> _Block:
            return _Block(inputs * width, outputs * width, num_labels, hidden, kept)

        self.fc = nn.Conv2d(num_labels, 16 * width, 3, padding=1)
        self.head_0, self.G_middle_0, self.G_middle_1 = block(16, 16), block(16, 16), block(16, 16)
        self.up_0, self.up_1, self.up_2, self.up_3 = block(16, 8), block(8, 4), block(4, 2), block(2, 1)
        self.conv_img = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, picture: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `PictureTranslator.forward`; labels that there are none of count as the last. No chance."""
        del generator
        height, width = picture.shape[-2:]
        classes = self.needs.filled(picture.float())[:, 0].long()
        known = torch.where((classes >= 0) & (classes < self.num_labels), classes, self.num_labels - 1)
        labels = F.one_hot(known, self.num_labels).permute(0, 3, 1, 2).to(self.fc.weight.dtype)
        return (self.painted(labels)[..., :height, :width] + 1) / 2

    def painted(self, labels: Tensor) -> Tensor:
        """From (N, num_labels, H, W) to (N, 3, H, W) in [-1, 1]."""
        small = [side // 2**_HALVED for side in labels.shape[-2:]]
        x = self.fc(F.interpolate(labels, size=small, mode="nearest"))
        x = _doubled(self.head_0(x, labels))
        x = self.G_middle_1(self.G_middle_0(x, labels), labels)
        for block in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = block(_doubled(x), labels)
        return self.conv_img(F.leaky_relu(x, 0.2)).tanh()  # type: ignore[no-any-return]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def spade_from_state(state: State) -> Spade:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network, or one with an encoder of styles.
    """
    tensors = {n: t for n, t in folded(state).items() if not n.endswith("num_batches_tracked")}
    begin, shared, last = (
        tensors.get(f"{n}.weight") for n in ("fc", "head_0.norm_0.mlp_shared.0", "conv_img")
    )
    if begin is not None and begin.ndim == 2:
        raise ValueError(f"{_WHAT} with an encoder of styles (fc.weight is a matrix); expected one without")
    if begin is None or shared is None or last is None:
        raise ValueError(f"not {_WHAT}: expected fc, head_0.norm_0.mlp_shared.0 and conv_img")
    kept = "head_0.norm_0.param_free_norm.running_mean" in tensors
    with torch.device("meta"):
        network = Spade(begin.shape[1], last.shape[1], shared.shape[0], kept)
    return load_exactly(network, tensors, _WHAT)


def _fits(state: State) -> bool:
    return "head_0.norm_0.mlp_gamma.weight" in state and "conv_img.weight" in state


ARCHITECTURE = Architecture("spade", "head_0.norm_0.mlp_gamma.weight", _fits, spade_from_state)
