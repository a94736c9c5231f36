"""The generator of pix2pix, a U-Net (Isola et al., arXiv 1611.07004, section 6.1.1).

Names of tensors are those of the authors' checkpoints for torch (``unet_256`` and ``unet_128``, batch
normalisation). As in the paper (section 3.3) it is applied as it was trained: dropout acts, and layers are
normalised by the statistics of the picture itself.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.translator import PictureTranslator

__all__ = ["ARCHITECTURE", "Pix2Pix", "pix2pix_from_state"]

_WHAT = "a checkpoint of pix2pix"
_DROPPED = 0.5
_SHORTCUT = 4  # levels from the outermost one on that have fewer channels than the rest, and no dropout


class _Norm(nn.Module):
    """Batch normalisation; the statistics kept in training are in the file, and not used."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=1e-5)


class _Level(nn.Module):
    """Halves, goes one level deeper, doubles. The numbers under ``model`` are the published places.

    Args:
        outer: channels that come in, of the level above.
        inner: channels of this level.
        below: the next level; None for the innermost.
        outputs: channels that go out, where the level is the outermost; else those that came in.
        dropout: whether channels are dropped after it.
    """

    def __init__(
        self, outer: int, inner: int, below: _Level | None, outputs: int = 0, dropout: bool = False
    ) -> None:
        super().__init__()
        self.outermost, self.dropout = outputs > 0, dropout
        first = 0 if self.outermost else 1
        self.places = [first, first + 1, first + 2, first + 4, first + 5]
        if below is None:
            self.places = [1, -1, -1, 3, 4]
        elif self.outermost:
            self.places = [0, -1, 1, 3, -1]
        self.model = nn.ModuleDict({str(self.places[0]): nn.Conv2d(outer, inner, 4, 2, 1, bias=False)})
        if self.places[1] >= 0:
            self.model[str(self.places[1])] = _Norm(inner)
        if below is not None:
            self.model[str(self.places[2])] = below
        joined = inner if below is None else 2 * inner
        self.model[str(self.places[3])] = nn.ConvTranspose2d(
            joined, outputs or outer, 4, 2, 1, bias=self.outermost
        )
        if self.places[4] >= 0:
            self.model[str(self.places[4])] = _Norm(outer)

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        down, norm, below, up, last = (self._place(number) for number in self.places)
        y = down(x if self.outermost else F.leaky_relu(x, 0.2))
        y = norm(y)
        y = below(y, generator) if isinstance(below, _Level) else y
        y = last(up(F.relu(y)))
        if self.outermost:
            return y.tanh()  # type: ignore[no-any-return]
        if self.dropout and generator is not None:
            kept = torch.rand(y.shape, generator=generator, device=y.device) >= _DROPPED
            y = y * kept / (1 - _DROPPED)
        return torch.cat((x, y), dim=1)

    def _place(self, number: int) -> nn.Module:
        return self.model[str(number)] if str(number) in self.model else nn.Identity()


class Pix2Pix(PictureTranslator):
    """The U-Net.

    Args:
        inputs: channels of what it reads.
        outputs: channels of what it makes.
        width: channels of the outermost level.
        levels: how often sides are halved: sides are multiples of two to that power.
    """

    def __init__(self, inputs: int = 3, outputs: int = 3, width: int = 64, levels: int = 8) -> None:
        super().__init__()
        self.inputs = inputs
        self.needs = SizeNeeds(multiple=2**levels, least=2**levels)
        widths = [width * min(2**n, 8) for n in range(levels)]
        level = None
        for number in range(levels - 1, 0, -1):
            dropped = _SHORTCUT <= number < levels - 1
            level = _Level(widths[number - 1], widths[number], level, dropout=dropped)
        self.model = _Level(inputs, widths[0], level, outputs=outputs)

    def forward(self, picture: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See `PictureTranslator.forward`; `generator` drops channels, None drops none."""
        height, width = picture.shape[-2:]
        given = picture.mean(dim=1, keepdim=True) if self.inputs == 1 else picture
        made = (self.model(self.needs.filled(2 * given - 1), generator) + 1) / 2
        return made[..., :height, :width].expand(-1, 3, -1, -1)  # type: ignore[no-any-return]


def pix2pix_from_state(state: State) -> Pix2Pix:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network.
    """
    tensors = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    first, last = tensors.get("model.model.0.weight"), tensors.get("model.model.3.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise ValueError(f"not {_WHAT}: expected 4-dimensional model.model.0.weight and model.model.3.weight")
    levels = max(name.count(".model.") for name in tensors if re.search(r"\d", name))
    with torch.device("meta"):
        network = Pix2Pix(first.shape[1], last.shape[1], first.shape[0], levels)
    return load_exactly(network, tensors, _WHAT)


def _fits(state: State) -> bool:
    return "model.model.0.weight" in state and "model.model.1.model.1.weight" in state


ARCHITECTURE = Architecture("pix2pix", "model.model.1.model.1.weight", _fits, pix2pix_from_state)
