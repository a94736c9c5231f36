"""StyleGAN2, the generator (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020).

Names of tensors are those of the files that most tools for torch exchange (``g_ema``, with ``latent_avg``
beside it). NVIDIA's own files hold Python code and are refused when they are read.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, State
from flowsynth.nets.generator import PictureGenerator
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "StyleGan2", "stylegan2_from_state"]

_WHAT = "a checkpoint of StyleGAN2"
_MAPPING_RATE = 0.01  # of learning: the mapping's weights are kept a hundred times larger
_SLOPE, _GAIN = 0.2, math.sqrt(2)
_MEAN_OF = 4096  # vectors that the mean style is taken of, where a file has none


def _activated(x: Tensor) -> Tensor:
    """A leaky ReLU that keeps the variance."""
    return F.leaky_relu(x, _SLOPE) * _GAIN


class _Dense(nn.Module):
    """A linear layer whose weights are scaled when it is used (equalised learning rate)."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class _Blur(nn.Module):
    """The filter that goes with enlarging twofold: [1, 3, 3, 1] along both axes, kept in the file."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.zeros(4, 4))

    def filtered(self, x: Tensor, before: int, after: int) -> Tensor:
        """Each channel of x, padded and convolved with the (flipped) kernel."""
        channels = x.shape[1]
        weight = self.kernel.flip((0, 1)).expand(channels, 1, 4, 4)
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to twice the size."""
        n, c, h, w = x.shape
        spread = x.new_zeros(n, c, h, 2, w, 2)
        spread[:, :, :, 0, :, 0] = x
        return self.filtered(spread.reshape(n, c, 2 * h, 2 * w), 2, 1)


class _Modulated(nn.Module):
    """A convolution whose weights a style scales; its outputs keep their variance (equations 1 and 3)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, outputs, inputs, kernel, kernel))
        self.modulation = _Dense(style, inputs)
        self.scale, self.demodulate = 1 / math.sqrt(inputs * kernel**2), demodulate

    def weights(self, style: Tensor) -> Tensor:
        """(N, outputs, inputs, k, k), a set for each picture."""
        weight = self.scale * self.weight * self.modulation(style)[:, None, :, None, None]
        if not self.demodulate:
            return weight  # type: ignore[no-any-return]
        return weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weights(style)
        joined = x.reshape(1, -1, *x.shape[2:])
        made = F.conv2d(joined, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=len(x))
        return made[0].unflatten(0, (len(x), -1))  # type: ignore[no-any-return]


class _Enlarging(_Modulated):
    """The same to twice the size, blurred afterwards."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__(inputs, outputs, 3, style)
        self.blur = _Blur()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weights(style).transpose(1, 2).flatten(0, 1)
        joined = x.reshape(1, -1, *x.shape[2:])
        made = F.conv_transpose2d(joined, weight, stride=2, groups=len(x))
        return self.blur.filtered(made[0].unflatten(0, (len(x), -1)), 1, 1)


class _Noise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _Offset(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))


class _Layer(nn.Module):
    """Convolution, noise, offset, activation."""

    def __init__(self, inputs: int, outputs: int, style: int, enlarge: bool = False) -> None:
        super().__init__()
        self.conv = _Enlarging(inputs, outputs, style) if enlarge else _Modulated(inputs, outputs, 3, style)
        self.noise = _Noise()
        self.activate = _Offset(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        x = self.conv(x, style) + self.noise.weight * noise
        return _activated(x + self.activate.bias[:, None, None])


class _ToRgb(nn.Module):
    """Adds a layer's picture to the smaller one before it (figure 7b, skip connections)."""

    def __init__(self, inputs: int, style: int, enlarge: bool) -> None:
        super().__init__()
        self.conv = _Modulated(inputs, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if enlarge:
            self.upsample = _Blur()

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None) -> Tensor:
        picture = self.conv(x, style) + self.bias
        return picture if before is None else picture + self.upsample(before)  # type: ignore[no-any-return]


class _Input(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.zeros(1, width, 4, 4))


class StyleGan2(PictureGenerator):
    """StyleGAN2, without classes.

    Args:
        widths: channels at 4 pixels, 8, 16, ...
        style: numbers of z and of a style.
        depth: layers of the mapping from z to a style.
    """

    num_classes = 0
    latent_avg: Tensor

    def __init__(self, widths: list[int], style: int, depth: int) -> None:
        super().__init__()
        self.z_dim, self.size = style, 4 * 2 ** (len(widths) - 1)
        # The first place of the mapping normalises and holds no tensor.
        self.style = nn.ModuleList(
            [nn.Identity(), *(_Dense(style, style, _MAPPING_RATE) for _ in range(depth))]
        )
        self.input = _Input(widths[0])
        self.conv1 = _Layer(widths[0], widths[0], style)
        self.to_rgb1 = _ToRgb(widths[0], style, enlarge=False)
        convs, to_rgbs = [], []
        for before, width in pairwise(widths):
            convs += [_Layer(before, width, style, enlarge=True), _Layer(width, width, style)]
            to_rgbs.append(_ToRgb(width, style, enlarge=True))
        self.convs, self.to_rgbs = nn.ModuleList(convs), nn.ModuleList(to_rgbs)
        self.noises = nn.Module()
        for number in range(len(convs) + 1):
            side = 4 * 2 ** ((number + 1) // 2)
            self.noises.register_buffer(f"noise_{number}", torch.zeros(1, 1, side, side))
        self.register_buffer("latent_avg", torch.zeros(style))

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        truncation: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Pictures; see `PictureGenerator.forward`. `truncation` is psi (Karras et al. 2019, appendix B)."""
        del labels
        style = torch.lerp(self.latent_avg, self.mapped(z), truncation)
        return (self.synthesised(style, generator).clamp(-1, 1) + 1) / 2

    def mapped(self, z: Tensor) -> Tensor:
        """Styles of random vectors, (N, style)."""
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in list(self.style)[1:]:
            x = _activated(layer(x))
        return x

    def synthesised(self, style: Tensor, generator: torch.Generator | None) -> Tensor:
        """Pictures of styles, about -1 to 1."""
        x = self.conv1(
            self.input.input.expand(len(style), -1, -1, -1), style, self._noise(0, style, generator)
        )
        picture = self.to_rgb1(x, style, None)
        for number, to_rgb in enumerate(self.to_rgbs):
            for place in (2 * number, 2 * number + 1):
                x = self.convs[place](x, style, self._noise(place + 1, style, generator))
            picture = to_rgb(x, style, picture)
        return picture  # type: ignore[no-any-return]

    def _noise(self, number: int, style: Tensor, generator: torch.Generator | None) -> Tensor:
        kept = self.noises.get_buffer(f"noise_{number}")
        if generator is None:
            return kept
        shape = len(style), *kept.shape[1:]
        return torch.randn(shape, generator=generator, device=generator.device).to(kept)


def stylegan2_from_state(state: State) -> StyleGan2:
    """Build the network that a checkpoint's shapes describe, and load it.

    Raises:
        ValueError: names or shapes of another network.
    """
    tensors = dict(state)
    last = max((int(n) for n in re.findall(r"to_rgbs\.(\d+)\.bias", "\n".join(tensors))), default=-1)
    depth = max((int(n) for n in re.findall(r"(?:^|\n)style\.(\d+)\.weight", "\n".join(tensors))), default=0)
    names = ["conv1.conv.weight", *(f"convs.{2 * n}.conv.weight" for n in range(last + 1))]
    if missing := [name for name in names if name not in tensors or tensors[name].ndim != 5]:
        raise ValueError(f"not {_WHAT}: it has no convolution {missing[0]!r}")
    unknown = "latent_avg" not in tensors
    if unknown:
        tensors["latent_avg"] = torch.zeros(tensors["style.1.weight"].shape[0])
    with torch.device("meta"):
        network = StyleGan2([tensors[n].shape[1] for n in names], len(tensors["latent_avg"]), depth)
    network = load_exactly(network, tensors, _WHAT)
    if unknown:
        z = torch.randn(_MEAN_OF, network.z_dim, generator=torch.Generator().manual_seed(0))
        network.latent_avg.copy_(network.mapped(z).mean(dim=0))
    return network


def _fits(state: State) -> bool:
    return "conv1.conv.modulation.weight" in state and "to_rgb1.conv.modulation.weight" in state


ARCHITECTURE = Architecture("stylegan2", "conv1.conv.modulation.weight", _fits, stylegan2_from_state)
