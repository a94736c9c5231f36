"""VideoGPT's transformer over codes in raster order: time, height, width (section 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, int, int]
#: Strided sparse attention (Child et al., arXiv 1904.10509) goes by blocks of codes; the last few are seen.
_BLOCK, _LOCAL = 32, 4


@dataclass
class Cache:
    """Keys and values of what was there before, of one layer; and of the first frames."""

    keys: Tensor | None = None
    values: Tensor | None = None
    seen: tuple[Tensor, Tensor] | None = None


class Norm(nn.Module):
    """Layer normalisation; where there are classes, scale and offset follow the class.

    The trainer adds its epsilon to the reciprocal of the deviation, not to the variance.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        if classes:
            self.w, self.wb = (nn.Linear(classes, width, bias=False) for _ in range(2))
        else:
            self.g, self.b = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """(N, L, C); `label` is one-hot, (N, classes)."""
        scale, offset = (self.g, self.b) if not self.classes else self._by(label)
        centred = x.float() - x.float().mean(-1, keepdim=True)
        scaled = centred * (1e-5 + centred.square().mean(-1, keepdim=True).rsqrt())
        return (scaled * scale + offset).to(x.dtype)

    def _by(self, label: Tensor | None) -> tuple[Tensor, Tensor]:
        if label is None:
            raise ValueError("this VideoGPT needs a class")
        return 1 + self.w(label)[:, None], self.wb(label)[:, None]


class Attention(nn.Module):
    """Attention of codes to earlier codes, or to the first frames."""

    def __init__(self, width: int, read: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.w_qs = nn.Linear(width, width, bias=False)
        self.w_ks = nn.Linear(read, width, bias=False)
        self.w_vs = nn.Linear(read, read, bias=False)
        self.fc = nn.Linear(read, width)

    def split(self, x: Tensor) -> Tensor:
        """(N, heads, L, C / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what is looked at."""
        return self.split(self.w_ks(x)), self.split(self.w_vs(x))

    def look(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, C) from where True stands in the mask."""
        found = F.scaled_dot_product_attention(self.split(self.w_qs(x)), keys, values, attn_mask=mask)
        return self.fc(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _Gelu2(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (1.702 * x).sigmoid() * x


class Layer(nn.Module):
    """A layer of the stack."""

    def __init__(self, width: int, heads: int, classes: int, first: int) -> None:
        super().__init__()
        self.pre_attn_norm = Norm(width, classes)
        self.attn = Attention(width, width, heads)
        self.first = first
        if first:
            self.pre_enc_norm = Norm(width, classes)
            self.enc_attn = Attention(width, first, heads)
        self.pre_fc_norm = Norm(width, classes)
        self.fc_block = nn.Sequential(nn.Linear(width, 4 * width), _Gelu2(), nn.Linear(4 * width, width))

    def forward(
        self, x: Tensor, label: Tensor | None, first: Tensor | None, mask: Tensor | None, cache: Cache
    ) -> Tensor:
        """The next codes of a clip, (N, L, C), all of them or one more than before.

        Args:
            x: their vectors.
            label: of the clip.
            first: what was seen of its first frames, (N, L', C').
            mask: (L, codes so far), True where a code may be looked at.
            cache: of the codes before.
        """
        normed = self.pre_attn_norm(x, label)
        keys, values = self.attn.read(normed)
        if cache.keys is not None and cache.values is not None:
            keys, values = (
                torch.cat((cache.keys, keys), dim=2),
                torch.cat((cache.values, values), dim=2),
            )
        cache.keys, cache.values = keys, values
        x = x + self.attn.look(normed, keys, values, mask)
        if self.first and first is not None:
            cache.seen = cache.seen or self.enc_attn.read(first)
            x = x + self.enc_attn.look(self.pre_enc_norm(x, label), *cache.seen, None)
        return x + self.fc_block(self.pre_fc_norm(x, label))  # type: ignore[no-any-return]


class _Shift(nn.Module):
    """What stands in place of a code before the first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sos = nn.Parameter(torch.zeros(width))


class Positions(nn.Module):
    """A vector for each place, put together of those of its coordinates."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        self.shape = shape
        parts = {f"d_{k}": nn.Parameter(torch.zeros(side, width // 3)) for k, side in enumerate(shape)}
        self.emb = nn.ParameterDict(parts)

    def whole(self) -> Tensor:
        """(places, C), in raster order."""
        t, h, w = self.shape
        own = (self.emb[f"d_{k}"] for k in range(3))
        places = ((t, 1, 1), (1, h, 1), (1, 1, w))
        parts = [e.view(*place, -1).expand(t, h, w, -1) for e, place in zip(own, places, strict=True)]
        return torch.cat(parts, -1).flatten(0, 2)


class Stack(nn.Module):
    """The layers, with what stands before the first code and the places' vectors."""

    def __init__(self, shape: Shape, width: int, heads: int, layers: int, classes: int, first: int) -> None:
        super().__init__()
        self.right_shift = _Shift(width)
        self.pos_embd = Positions(shape, width)
        self.attn_nets = nn.ModuleList(Layer(width, heads, classes, first) for _ in range(layers))


def looked_at(shape: Shape, sparse: bool) -> Tensor:
    """(places, places), True where a place looks at another.

    Sparse: at the four blocks of 32 before and its own; and at the blocks that differ from its own in one
    coordinate alone, the last one aside.

    Raises:
        ValueError: a shape that does not fall into blocks.
    """
    count = math.prod(shape)
    earlier = torch.ones(count, count, dtype=torch.bool).tril()
    if not sparse:
        return earlier
    grid = _block_grid(shape)
    blocks = math.prod(grid)
    near = torch.ones(blocks, blocks, dtype=torch.bool).tril().triu(-_LOCAL)
    places = torch.cartesian_prod(*(torch.arange(side) for side in grid)).view(blocks, len(grid))
    differ = places[:, None] != places[None]
    single = [differ[..., d] & (differ.sum(-1) == 1) for d in range(len(grid) - 1)]
    far = torch.stack([*single, torch.eye(blocks, dtype=torch.bool)]).any(0)
    allowed = (near | far).repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)
    return allowed & earlier


def _block_grid(shape: Shape) -> tuple[int, ...]:
    product, axis = 1, len(shape)
    while axis and product <= _BLOCK:
        axis -= 1
        product *= shape[axis]
    if product % _BLOCK:
        raise ValueError(f"codes of {shape} do not fall into blocks of {_BLOCK}")
    return (*shape[:axis], product // _BLOCK)
