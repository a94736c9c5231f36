"""Fill a network from a checkpoint: every tensor of both has its place in the other, or the file is refused.

A single file holds several networks, each behind a prefix; its names are the original Stable Diffusion's,
OpenCLIP's, AnimateDiff's or diffusers' own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.names import aliases

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

#: What a network's tensors begin with in a file that holds several.
_PREFIXES: dict[str, tuple[str, ...]] = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    "text_encoder": (
        "cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.0.transformer.",
    ),
    "text_encoder_2": ("conditioner.embedders.1.model.", "conditioner.embedders.0.model."),
    "transformer": ("model.diffusion_model.",),
    "controlnet": ("control_model.",),
}  # fmt: skip
#: Prefixes of text towers in OpenCLIP's names.
_OPEN_CLIP_PREFIXES = ("cond_stage_model.model.", *_PREFIXES["text_encoder_2"])
#: Tensors of no effect: positions that count from 0, losses and averages of training, CLIP's way to pictures.
_IDLE = re.compile(
    r"(.*\.)?(embeddings\.position_ids|logit_scale|text_projection(\.weight)?)|(loss|model_ema)\..*"
    r"|.*\.pos_encoder\.pe"
)
_OPEN_CLIP = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_PART = re.compile(
    r"transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)|(.+)\.in_proj_(weight|bias)"
)
_OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_MOTION = {
    ".temporal_transformer": "", ".norms.0": ".norm1", ".norms.1": ".norm2", ".ff_norm": ".norm3",
    ".attention_blocks.0": ".attn1", ".attention_blocks.1": ".attn2",
}  # fmt: skip


def part_prefixes(kind: str) -> tuple[str, ...]:
    """What a network's tensors may begin with in a file that holds several."""
    return _PREFIXES.get(kind, ())


def part_of(weights: Mapping[str, torch.Tensor], kind: str) -> Tensors:
    """The tensors of one network in a file: those behind its prefix, or all where nothing has it.

    Args:
        weights: by name; ``module.`` in front of names, as data parallel training writes, is taken off.
        kind: ``unet``, ``transformer``, ``vae``, ``text_encoder``, ``text_encoder_2``, ``controlnet`` or
            ``motion``.
    """
    plain = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    for prefix in part_prefixes(kind):
        found = {n.removeprefix(prefix): t for n, t in plain.items() if n.startswith(prefix)}
        if found:
            return _from_open_clip(found) if prefix in _OPEN_CLIP_PREFIXES else found
    if kind == "motion":
        return {_motion_name(name): tensor for name, tensor in plain.items()}
    return plain


def _motion_name(name: str) -> str:
    for theirs, ours in _MOTION.items():
        name = name.replace(theirs, ours)
    return name


def _from_open_clip(weights: Tensors) -> Tensors:
    """OpenCLIP's text tower in transformers' names (arXiv 2212.07143)."""
    found: Tensors = {}
    for name, tensor in weights.items():
        match = _OPEN_CLIP_PART.fullmatch(name)
        if name == "text_projection":
            found["text_projection.weight"] = tensor.T.contiguous()
        elif match is None or name in _OPEN_CLIP:
            found[_OPEN_CLIP.get(name, name)] = tensor
        elif match[4] is None:
            found[f"encoder.layers.{match[1]}.{_OPEN_CLIP_LAYER.get(match[2], match[2])}.{match[3]}"] = tensor
        else:
            layer = match[4].removeprefix("transformer.resblocks.").removesuffix(".attn")
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                found[f"encoder.layers.{layer}.self_attn.{part}_proj.{match[5]}"] = piece
    return found


def fill(net: Any, weights: Mapping[str, torch.Tensor], file: Path, dtype: torch.dtype) -> Any:
    """Give a network all of its tensors.

    Args:
        net: with or without weights of its own.
        weights: under any of the names that its layers go by.
        file: for messages.
        dtype: of its numbers.

    Raises:
        InputError: tensors are missing, left over, of other shapes, or no numbers of a network.
    """
    own = net.state_dict()
    named = _own_names(own, weights)
    name = type(net).__name__
    left = sorted(theirs for theirs, ours in named.items() if ours is None and not _IDLE.fullmatch(theirs))
    missing = sorted(set(own) - {ours for ours in named.values() if ours} - _buffers(own))
    if missing:
        raise InputError(f"{file}: lacks {len(missing)} tensors of a {name}: {_some(missing)}")
    if left:
        raise InputError(f"{file}: holds more than the tensors of this {name}: {_some(left)}")
    state = {}
    for theirs, ours in named.items():
        if ours is not None:
            state[ours] = _fitting(weights[theirs], own[ours], theirs, file, dtype)
    net.load_state_dict(state, strict=False, assign=True)
    return net.to(dtype)


def _own_names(own: Mapping[str, Any], weights: Iterable[str]) -> dict[str, str | None]:
    """The network's own name of each tensor; None where it has none."""
    known = aliases(name.rpartition(".")[0] for name in own)
    found: dict[str, str | None] = {}
    for name in weights:
        module, _, leaf = name.rpartition(".")
        ours = name if name in own else f"{known.get(module)}.{leaf}"
        found[name] = ours if ours in own else None
    return found


def _buffers(own: Iterable[str]) -> set[str]:
    """What a network works out by itself: tables of positions."""
    return {name for name in own if name.endswith(("position_ids", "pos_encoder.pe", "pos_embed.pe"))}


def _fitting(
    given: torch.Tensor, own: torch.Tensor, name: str, file: Path, dtype: torch.dtype
) -> torch.Tensor:
    """A tensor in the network's shape and dtype, in memory of its own."""
    # Convolutions of 1 x 1 and matrices hold the same numbers; each library has its own for some layers.
    if [n for n in given.shape if n > 1] != [n for n in own.shape if n > 1] or given.numel() != own.numel():
        raise InputError(f"{file}: {name} has shape {tuple(given.shape)}; expected {tuple(own.shape)}")
    if not own.is_floating_point():
        return given.reshape(own.shape).clone()
    if not given.is_floating_point() or given.element_size() == 1:
        kind = str(given.dtype).removeprefix("torch.")
        raise InputError(f"{file}: {name} is {kind}; quantised weights can't be loaded, expected floats")
    return given.reshape(own.shape).to(dtype, copy=True)


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
