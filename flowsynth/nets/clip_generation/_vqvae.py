"""VideoGPT's VQ-VAE: clips to codes and back, by 3-D convolutions and axial attention (section 3.1).

Names of tensors are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Strides = tuple[int, int, int]
_HEADS = 2  # of the axial attention


class Conv(nn.Module):
    """A convolution whose result has the sides of its input divided by the strides."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: Strides = (1, 1, 1), bias: bool = True
    ) -> None:
        super().__init__()
        self.padding = _same(kernel, stride)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W)."""
        return self.conv(F.pad(x, self.padding))  # type: ignore[no-any-return]


class BatchNorm(nn.Module):
    """Normalisation by what its trainer kept of batches, without the counter of them."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...)."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class _Enlarging(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: Strides) -> None:
        super().__init__()
        self.padding = _same(4, stride)
        self.convt = nn.ConvTranspose3d(inputs, outputs, 4, stride, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.convt(F.pad(x, self.padding))  # type: ignore[no-any-return]


def _same(kernel: int, stride: Strides) -> list[int]:
    """What is added on both sides of width, height and time; the first side gets more of odd numbers."""
    added = [kernel - step for step in reversed(stride)]
    return [part for total in added for part in (total // 2 + total % 2, total // 2)]


class _Axis(nn.Module):
    """Attention along one axis: every place looks at those that differ from it in that axis alone."""

    def __init__(self, width: int, axis: int) -> None:
        super().__init__()
        self.axis = axis  # of (N, T, H, W, C)
        self.w_qs = nn.Linear(width, width, bias=False)
        self.w_ks = nn.Linear(width, width, bias=False)
        self.w_vs = nn.Linear(width, width, bias=False)
        self.fc = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.movedim(self.axis, -2)  # (N, ., ., length, C)
        q, k, v = (part(rows).unflatten(-1, (_HEADS, -1)) for part in (self.w_qs, self.w_ks, self.w_vs))
        seen = F.scaled_dot_product_attention(*(part.transpose(-2, -3) for part in (q, k, v)))
        return self.fc(seen.transpose(-2, -3).flatten(-2).movedim(-2, self.axis))  # type: ignore[no-any-return]


class _Axial(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn_w, self.attn_h, self.attn_t = _Axis(width, 3), _Axis(width, 2), _Axis(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        last = x.movedim(1, -1)
        return (self.attn_w(last) + self.attn_h(last) + self.attn_t(last)).movedim(-1, 1)  # type: ignore[no-any-return]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.block = nn.Sequential(
            BatchNorm(width),
            nn.ReLU(),
            Conv(width, half, 3, bias=False),
            BatchNorm(half),
            nn.ReLU(),
            Conv(half, width, 1, bias=False),
            BatchNorm(width),
            nn.ReLU(),
            _Axial(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)  # type: ignore[no-any-return]


def _stack(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(blocks)), BatchNorm(width), nn.ReLU())


def _steps(strides: Strides) -> list[Strides]:
    """The strides of each convolution: two along an axis until it is halved often enough."""
    left = [stride.bit_length() - 1 for stride in strides]
    found: list[Strides] = []
    for _ in range(max(left)):
        t, h, w = (2 if count > 0 else 1 for count in left)
        found.append((t, h, w))
        left = [count - 1 for count in left]
    return found


class _Encoder(nn.Module):
    def __init__(self, width: int, blocks: int, strides: Strides) -> None:
        super().__init__()
        steps = _steps(strides)
        self.convs = nn.ModuleList(Conv(3 if k == 0 else width, width, 4, s) for k, s in enumerate(steps))
        self.conv_last = Conv(3 if len(steps) == 1 else width, width, 3)
        self.res_stack = _stack(width, blocks)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.res_stack(self.conv_last(x))  # type: ignore[no-any-return]


class _Decoder(nn.Module):
    def __init__(self, width: int, blocks: int, strides: Strides) -> None:
        super().__init__()
        self.res_stack = _stack(width, blocks)
        steps = _steps(strides)
        last = len(steps) - 1
        self.convts = nn.ModuleList(
            _Enlarging(width, 3 if k == last else width, step) for k, step in enumerate(steps)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.res_stack(x)
        for number, conv in enumerate(self.convts):
            x = conv(F.relu(x) if number else x)
        return x


class Codebook(nn.Module):
    """Vectors that codes stand for; the other two are what its trainer averages."""

    embeddings: Tensor

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(codes, width))
        self.register_buffer("N", torch.zeros(codes))
        self.register_buffer("z_avg", torch.zeros(codes, width))


class VqVae(nn.Module):
    """Clips to codes and back.

    Args:
        codes: how many there are.
        embedding: numbers of a code's vector.
        width: channels inside.
        blocks: residual blocks on each side.
        strides: pixels and frames of a code: along time, height and width, powers of two.
    """

    def __init__(self, codes: int, embedding: int, width: int, blocks: int, strides: Strides) -> None:
        super().__init__()
        self.encoder = _Encoder(width, blocks, strides)
        self.decoder = _Decoder(width, blocks, strides)
        self.pre_vq_conv = Conv(width, embedding, 1)
        self.post_vq_conv = Conv(embedding, width, 1)
        self.codebook = Codebook(codes, embedding)

    def encode(self, clip: Tensor) -> Tensor:
        """The nearest codes, (N, t, h, w), of (N, 3, T, H, W) in [-0.5, 0.5]."""
        found = self.features(clip).movedim(1, -1)
        return torch.cdist(found.flatten(0, -2), self.codebook.embeddings).argmin(-1).view(found.shape[:-1])

    def features(self, clip: Tensor) -> Tensor:
        """What codes are chosen by, (N, C, t, h, w)."""
        return self.pre_vq_conv(self.encoder(clip))  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """A clip, (N, 3, T, H, W) about [-0.5, 0.5], of codes (N, t, h, w)."""
        return self.decoder(self.post_vq_conv(self.vectors(codes).movedim(-1, 1)))  # type: ignore[no-any-return]

    def vectors(self, codes: Tensor) -> Tensor:
        """The vectors of codes, one axis more."""
        return F.embedding(codes, self.codebook.embeddings)


def count_blocks(names: Sequence[str], stem: str) -> int:
    """How many numbered children a part of a checkpoint has."""
    found = {name.removeprefix(stem).split(".")[0] for name in names if name.startswith(stem)}
    return len({each for each in found if each.isdigit()})
