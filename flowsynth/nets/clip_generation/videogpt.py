"""VideoGPT: clips code by code (Yan, Zhang, Abbeel and Srinivas, arXiv 2104.10157).

Names of tensors are those of the published checkpoints (``bair_gpt``, ``ucf101_uncond_gpt``), which hold the
VQ-VAE too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowsynth.nets.architecture import Architecture, State
from flowsynth.nets.clip_generation._first_frames import FirstFrames
from flowsynth.nets.clip_generation._gpt import Cache, Norm, Positions, Shape, Stack, looked_at
from flowsynth.nets.clip_generation._vqvae import Strides, VqVae, count_blocks
from flowsynth.nets.loading import load_exactly

__all__ = ["ARCHITECTURE", "Sizes", "VideoGpt", "videogpt_from_state"]

_WHAT = "a checkpoint of VideoGPT"
_FRAME_STRIDE = 4  # pixels of a place that is seen of the first frames
_HEADS = 4
#: What checkpoints hold besides weights: counters, and tables of which place looks at which.
_TABLES = ("num_batches_tracked", ".attn.attn.mask")


@dataclass(frozen=True)
class Sizes:
    """What a checkpoint's shapes say, and what they don't.

    Attributes:
        codes: how many there are.
        embedding: numbers of a code's vector.
        inner: channels of the VQ-VAE.
        blocks: residual blocks of the VQ-VAE.
        strides: frames and pixels of a code; the checkpoint does not say.
        shape: codes of a clip.
        width: of the transformer.
        layers: of the transformer.
        heads: of the transformer; the checkpoint does not say.
        classes: of clips; 0 for none.
        first: frames that a clip begins with, each of so many places; 0, 0, 0 for none.
        seen: channels of what is seen of them, of the stem and of each group.
        sparse: whether attention is.
    """

    codes: int
    embedding: int
    inner: int
    blocks: int
    strides: Strides
    shape: Shape
    width: int
    layers: int
    heads: int
    classes: int
    first: Shape
    seen: tuple[int, int, int, int, int]
    sparse: bool


class VideoGpt(nn.Module):
    """Codes of clips, one by one, and the clips of codes."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        first = sizes.seen[-1] if sizes.first[0] else 0
        self.vqvae = VqVae(sizes.codes, sizes.embedding, sizes.inner, sizes.blocks, sizes.strides)
        if first:
            self.resnet = FirstFrames(sizes.seen)
            self.cond_pos_embd = Positions(sizes.first, first)
        self.fc_in = nn.Linear(sizes.embedding, sizes.width, bias=False)
        self.attn_stack = Stack(sizes.shape, sizes.width, sizes.heads, sizes.layers, sizes.classes, first)
        self.norm = Norm(sizes.width, sizes.classes)
        self.fc_out = nn.Linear(sizes.width, sizes.codes, bias=False)

    @property
    def clip_size(self) -> tuple[int, int, int]:
        """Frames, height and width of a clip."""
        t, h, w = (n * s for n, s in zip(self.sizes.shape, self.sizes.strides, strict=True))
        return t, h, w

    def logits(self, codes: Tensor, label: Tensor | None = None, first: Tensor | None = None) -> Tensor:
        """How likely each code is at each place, given those before: (N, places, codes).

        Args:
            codes: (N, t, h, w).
            label: (N,), classes.
            first: (N, 3, frames, H, W) in [-0.5, 0.5], the frames that the clip begins with.
        """
        vectors = self.fc_in(self.vqvae.vectors(codes.flatten(1)))
        start = self.attn_stack.right_shift.sos.expand(len(codes), 1, -1)
        mask = looked_at(self.sizes.shape, self.sizes.sparse).to(codes.device)
        caches = [Cache() for _ in self.attn_stack.attn_nets]
        given = self._one_hot(label), self._seen(first)
        return self._passed(torch.cat((start, vectors[:, :-1]), 1), 0, mask, *given, caches)

    def sample(
        self,
        chance: torch.Generator,
        choose: Callable[[Tensor, torch.Generator], Tensor],
        label: Tensor | None = None,
        first: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """The codes of one clip in raster order, one by one, each (1,); keys of those before are kept.

        Args:
            chance: on the CPU.
            choose: a code, (1,), by logits (1, codes) on the CPU.
            label: (1,), its class.
            first: (1, 3, frames, H, W) in [-0.5, 0.5], the frames that it begins with.
        """
        device = self.fc_in.weight.device
        mask = looked_at(self.sizes.shape, self.sizes.sparse).to(device)
        caches = [Cache() for _ in self.attn_stack.attn_nets]
        given = self._one_hot(label), self._seen(first)
        vector = self.attn_stack.right_shift.sos.view(1, 1, -1)
        for place in range(len(mask)):
            row = mask[place : place + 1, : place + 1]
            found = self._passed(vector, place, row, *given, caches)
            code = choose(found[:, 0].float().cpu(), chance)
            yield code
            vector = self.fc_in(self.vqvae.vectors(code.to(device)))[:, None]

    def _passed(
        self,
        x: Tensor,
        place: int,
        mask: Tensor,
        label: Tensor | None,
        first: Tensor | None,
        caches: list[Cache],
    ) -> Tensor:
        x = x + self.attn_stack.pos_embd.whole()[place : place + x.shape[1]]
        for layer, cache in zip(self.attn_stack.attn_nets, caches, strict=True):
            x = layer(x, label, first, mask, cache)
        return self.fc_out(self.norm(x, label))  # type: ignore[no-any-return]

    def _one_hot(self, label: Tensor | None) -> Tensor | None:
        if label is None or not self.sizes.classes:
            return None
        return F.one_hot(label, self.sizes.classes).to(self.fc_in.weight)

    def _seen(self, first: Tensor | None) -> Tensor | None:
        if not self.sizes.first[0]:
            return None
        if first is None:
            raise ValueError("this VideoGPT needs the frames that a clip begins with")
        return self.resnet(first).flatten(1, 3) + self.cond_pos_embd.whole()  # type: ignore[no-any-return]


def videogpt_from_state(state: State, heads: int = _HEADS, strides: Strides | None = None) -> VideoGpt:
    """Build the network that a checkpoint's shapes describe, and load it.

    Args:
        state: the tensors.
        heads: of the transformer, which shapes do not tell.
        strides: frames, height and width of a code, which shapes tell only in part; 4, 4, 4 unless known.

    Raises:
        ValueError: names or shapes of another network, or heads or strides that cannot be.
    """
    sizes = sizes_of(state, heads, strides)
    tensors = {name: tensor for name, tensor in state.items() if not name.endswith(_TABLES)}
    with torch.device("meta"):
        network = VideoGpt(sizes)
    return load_exactly(network, tensors, _WHAT)


def sizes_of(state: State, heads: int, strides: Strides | None) -> Sizes:
    """What a checkpoint's shapes say.

    Raises:
        ValueError: they do not belong together.
    """
    names = list(state)
    codes, embedding = state["vqvae.codebook.embeddings"].shape
    t, h, w = (len(state[f"attn_stack.pos_embd.emb.d_{k}"]) for k in range(3))
    width = len(state["attn_stack.right_shift.sos"])
    first, seen = (0, 0, 0), (0, 0, 0, 0, 0)
    if "cond_pos_embd.emb.d_0" in state:
        a, b, c = (len(state[f"cond_pos_embd.emb.d_{k}"]) for k in range(3))
        first = (a, b, c)
        firsts = [len(state["resnet.stem.0.weight"])]
        firsts += [len(state[f"resnet.group{k}.start_block.conv1.weight"]) for k in range(1, 5)]
        seen = (firsts[0], firsts[1], firsts[2], firsts[3], firsts[4])
    convs = count_blocks(names, "vqvae.decoder.convts.")
    strides = strides or _strides((t, h, w), first, convs)
    if max(strides) != 2**convs:
        raise ValueError(f"not {_WHAT} of strides {strides}: it has {convs} convolutions that enlarge")
    if width % heads or width % 3:
        raise ValueError(f"not {_WHAT} of {heads} heads: its width is {width}")
    return Sizes(
        codes, embedding, len(state["vqvae.post_vq_conv.conv.weight"]),
        count_blocks(names, "vqvae.decoder.res_stack.") - 1, strides, (t, h, w), width,
        count_blocks(names, "attn_stack.attn_nets."), heads, state["norm.w.weight"].shape[1]
        if "norm.w.weight" in state else 0, first, seen,
        sparse=not any(name.endswith(".attn.attn.mask") for name in names),
    )  # fmt: skip


def _strides(shape: Shape, first: Shape, convs: int) -> Strides:
    """Along height and width as the first frames' places tell; the rest as the widest stride."""
    most = 2**convs
    if not first[0]:
        return most, most, most
    return most, first[1] * _FRAME_STRIDE // shape[1], first[2] * _FRAME_STRIDE // shape[2]


def _fits(state: State) -> bool:
    return "attn_stack.right_shift.sos" in state and "vqvae.codebook.embeddings" in state


ARCHITECTURE = Architecture(
    "videogpt", "attn_stack.right_shift.sos and vqvae.codebook.embeddings", _fits, videogpt_from_state
)
