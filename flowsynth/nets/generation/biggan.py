"""BigGAN-deep: pictures of a class (Brock, Donahue and Simonyan, arXiv 1809.11096, appendix B, figure 16).

Names of tensors are those of the published weights for torch (``biggan-deep-128``, ``-256``, ``-512``), whose
spectral normalisation is folded into the weights when they are loaded.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, State
from flowsynth.nets.generator import PictureGenerator
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.spectral import folded

__all__ = ["ARCHITECTURE", "BigGan", "biggan_from_state"]

_WHAT = "a checkpoint of BigGAN-deep"
_EPS = 1e-4
_LEAST = 4  # side that a picture begins with
#: z is drawn from a normal distribution cut off here, then multiplied by the truncation.
_CUT = 2.0


class _Norm(nn.Module):
    """Batch normalisation by statistics kept for several truncations, 0 to 1 in even steps."""

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, width: int, stats: int) -> None:
        super().__init__()
        self.register_buffer("running_means", torch.zeros(stats, width))
        self.register_buffer("running_vars", torch.ones(stats, width))

    def normalised(self, x: Tensor, truncation: float) -> Tensor:
        """(N, width, H, W); between two truncations statistics are mixed in proportion."""
        place = truncation * (len(self.running_means) - 1)
        low = min(int(place + 1e-6), len(self.running_means) - 2)
        share = min(max(place - low, 0.0), 1.0)
        mean = torch.lerp(self.running_means[low], self.running_means[low + 1], share)
        variance = torch.lerp(self.running_vars[low], self.running_vars[low + 1], share)
        return (x - mean[:, None, None]) / torch.sqrt(variance + _EPS)[:, None, None]


class _ClassNorm(_Norm):
    """Scale and offset follow the condition, linearly."""

    def __init__(self, width: int, condition: int, stats: int) -> None:
        super().__init__(width, stats)
        self.scale = nn.Linear(condition, width, bias=False)
        self.offset = nn.Linear(condition, width, bias=False)

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        scale, offset = (part(condition)[..., None, None] for part in (self.scale, self.offset))
        return self.normalised(x, truncation) * (1 + scale) + offset  # type: ignore[no-any-return]


class _PlainNorm(_Norm):
    def __init__(self, width: int, stats: int) -> None:
        super().__init__(width, stats)
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, truncation: float) -> Tensor:
        return self.normalised(x, truncation) * self.weight[:, None, None] + self.bias[:, None, None]


class _Block(nn.Module):
    """A residual bottleneck; the way round it drops the channels that are too many."""

    def __init__(self, widths: tuple[int, int, int], condition: int, stats: int, larger: bool) -> None:
        super().__init__()
        inner, middle, outer = widths
        self.larger, self.outer = larger, outer
        for number, width in enumerate((inner, middle, middle, middle)):
            setattr(self, f"bn_{number}", _ClassNorm(width, condition, stats))
        self.conv_0 = nn.Conv2d(inner, middle, 1)
        self.conv_1 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.conv_3 = nn.Conv2d(middle, outer, 1)

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        around, within = x[:, : self.outer], x
        for number in range(4):
            within = F.relu(self.get_submodule(f"bn_{number}")(within, condition, truncation))
            if number == 1 and self.larger:
                within = F.interpolate(within, scale_factor=2, mode="nearest")
            within = self.get_submodule(f"conv_{number}")(within)
        return within + (F.interpolate(around, scale_factor=2, mode="nearest") if self.larger else around)


class _Attention(nn.Module):
    """Every place looks at all places of the halved picture (Zhang et al., arXiv 1805.08318)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(width, width // 8, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(width, width // 8, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(width, width // 2, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(width // 2, width, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        del condition, truncation
        asked = self.snconv1x1_theta(x).flatten(2).transpose(1, 2)
        keys = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        values = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        seen = values @ (asked @ keys).softmax(dim=-1).transpose(1, 2)
        return x + self.gamma * self.snconv1x1_o_conv(seen.unflatten(2, x.shape[-2:]))  # type: ignore[no-any-return]


class _Body(nn.Module):
    def __init__(self, layers: list[nn.Module], width: int, condition: int, stats: int, start: int) -> None:
        super().__init__()
        self.gen_z = nn.Linear(condition, _LEAST * _LEAST * start)
        self.layers = nn.ModuleList(layers)
        self.bn = _PlainNorm(width, stats)
        self.conv_to_rgb = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, condition: Tensor, truncation: float) -> Tensor:
        # The published weights lay the beginning out as height, width, channels.
        x = self.gen_z(condition).unflatten(1, (_LEAST, _LEAST, -1)).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, condition, truncation)
        return self.conv_to_rgb(F.relu(self.bn(x, truncation)))[:, :3].tanh()  # type: ignore[no-any-return]


class BigGan(PictureGenerator):
    """BigGAN-deep, the generator.

    Args:
        z_dim: numbers of a random vector, and of a class's own vector.
        num_classes: classes.
        width: channels of the last block.
        blocks: (inner, middle, outer channels) of each; every second one doubles the sides.
        attention: blocks before the attention.
        stats: truncations that statistics are kept for.
    """

    def __init__(
        self,
        z_dim: int,
        num_classes: int,
        width: int,
        blocks: list[tuple[int, int, int]],
        attention: int,
        stats: int = 51,
    ) -> None:
        super().__init__()
        self.z_dim, self.num_classes = z_dim, num_classes
        self.size = _LEAST * 2 ** (len(blocks) // 2)
        self.embeddings = nn.Linear(num_classes, z_dim, bias=False)
        layers: list[nn.Module] = [
            _Block(widths, 2 * z_dim, stats, larger=bool(number % 2)) for number, widths in enumerate(blocks)
        ]
        layers.insert(attention, _Attention(blocks[attention][0]))
        self.generator = _Body(layers, width, 2 * z_dim, stats, blocks[0][0])

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        truncation: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Pictures of classes; see `PictureGenerator.forward`. There is no noise inside."""
        del generator
        if labels is None:
            raise ValueError("BigGAN needs a class for each picture")
        condition = torch.cat((z, self.embeddings.weight.T[labels]), dim=1)
        return (self.generator(condition, truncation) + 1) / 2  # type: ignore[no-any-return]

    def draw(self, count: int, truncation: float, generator: torch.Generator) -> Tensor:
        """Normal numbers within two deviations, times the truncation (section 3.1)."""
        shares = torch.rand(count, self.z_dim, generator=generator, dtype=torch.float64)
        low, high = (torch.special.ndtr(torch.tensor(x, dtype=torch.float64)) for x in (-_CUT, _CUT))
        return (truncation * torch.special.ndtri(low + shares * (high - low))).float()  # type: ignore[no-any-return]


def biggan_from_state(state: State) -> BigGan:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network.
    """
    tensors = folded(state)
    numbers = sorted({int(n) for n in re.findall(r"generator\.layers\.(\d+)\.", "\n".join(tensors))})
    attention = [n for n in numbers if f"generator.layers.{n}.gamma" in tensors]
    if len(attention) != 1 or numbers != list(range(len(numbers))) or len(numbers) % 2 == 0:
        raise ValueError(f"not {_WHAT}: expected pairs of blocks and one attention among generator.layers")
    first = [tensors[f"generator.layers.{n}.conv_0.weight"] for n in numbers if n not in attention]
    last = [tensors[f"generator.layers.{n}.conv_3.weight"] for n in numbers if n not in attention]
    blocks = [(a.shape[1], a.shape[0], b.shape[0]) for a, b in zip(first, last, strict=True)]
    z_dim, num_classes = tensors["embeddings.weight"].shape
    width, stats = len(tensors["generator.bn.weight"]), len(tensors["generator.bn.running_means"])
    with torch.device("meta"):
        network = BigGan(z_dim, num_classes, width, blocks, attention[0], stats)
    return load_exactly(network, tensors, _WHAT)


def _fits(state: State) -> bool:
    return "generator.gen_z.weight_orig" in state and "embeddings.weight" in state


ARCHITECTURE = Architecture("biggan", "generator.gen_z.weight_orig", _fits, biggan_from_state)
