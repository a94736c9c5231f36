"""Open-Sora 2's denoiser as it is published, in the names and the order of the library's Flux.

Its file (``Open_Sora_v2.safetensors``) has queries, keys and values apart, positions that turn the first
half of a head's numbers against the second (Flux turns neighbours), and a layer for what is known of the clip
beside the one for its noise. Each of them is exact: names, a permutation, and two layers side by side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Tensors by which the file is known.
KNOWN_BY = ("cond_in.weight", "double_blocks.0.img_attn.q_proj.weight")
#: The layers that take in the noise, and what is known.
_BESIDE = ("img_in.", "cond_in.")
_OUTER = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "txt_in": "context_embedder",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_DOUBLE = {
    "img_mod.lin": "norm1.linear", "txt_mod.lin": "norm1_context.linear",
    "img_attn.q_proj": "attn.to_q", "img_attn.k_proj": "attn.to_k", "img_attn.v_proj": "attn.to_v",
    "txt_attn.q_proj": "attn.add_q_proj", "txt_attn.k_proj": "attn.add_k_proj",
    "txt_attn.v_proj": "attn.add_v_proj",
    "img_attn.norm.query_norm": "attn.norm_q", "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q", "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_attn.proj": "attn.to_out.0", "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj", "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj", "txt_mlp.2": "ff_context.net.2",
}  # fmt: skip
_SINGLE = {
    "modulation.lin": "norm.linear", "q_proj": "attn.to_q", "k_proj": "attn.to_k",
    "norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k", "linear2": "proj_out",
}  # fmt: skip
_BLOCK = re.compile(r"(double|single)_blocks\.(\d+)\.(.+)\.(weight|bias|scale)")
_TURNED = ("to_q", "to_k", "add_q_proj", "add_k_proj", "norm_q", "norm_k", "norm_added_q", "norm_added_k")


def is_open_sora(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether the names are those of Open-Sora 2's denoiser."""
    return all(name in weights for name in KNOWN_BY)


def in_flux_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as `FluxTransformer2DModel` has them, its input the noise and what is known.

    What has no place there keeps its name, so that whoever fills the network says so.
    """
    width = weights["double_blocks.0.img_attn.norm.query_norm.scale"].shape[0]
    made: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if name.startswith("single_blocks.") and ".v_mlp." in name:
            made |= _values_and_wide(weights, name)
        elif not name.startswith(_BESIDE):
            new = _flux_name(name)
            made[new] = _in_order(new, tensor, width)
    return made | _side_by_side(weights)


def _in_order(name: str, tensor: torch.Tensor, width: int) -> torch.Tensor:
    """A tensor with its rows as the library wants them."""
    import torch

    if name.split(".")[-2] in _TURNED:
        return _neighbours(tensor, width)
    return torch.cat(tensor.chunk(2)[::-1]) if name.startswith("norm_out.") else tensor  # it scales first


def _side_by_side(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layers for the noise and for what is known as one, where all of both is there."""
    import torch

    parts = [weights.get(f"{name}{kind}") for name in _BESIDE for kind in ("weight", "bias")]
    if any(part is None for part in parts):
        return {}
    noise, bias, known, more = (part.float() for part in parts if part is not None)
    return {"x_embedder.weight": torch.cat((noise, known), 1), "x_embedder.bias": bias + more}


def _values_and_wide(weights: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """A layer that makes values and the wide numbers, as two: values are as many as queries."""
    stem, _, kind = name.rpartition(".v_mlp.")
    place = f"single_transformer_blocks.{stem.split('.')[1]}"
    side = int(weights[f"{stem}.q_proj.{kind}"].shape[0])
    return {
        f"{place}.attn.to_v.{kind}": weights[name][:side],
        f"{place}.proj_mlp.{kind}": weights[name][side:],
    }


def _flux_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _OUTER:
        return f"{_OUTER[stem]}.{kind}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    inner = (_DOUBLE if match[1] == "double" else _SINGLE).get(match[3])
    if inner is None:
        return name
    blocks = "transformer_blocks" if match[1] == "double" else "single_transformer_blocks"
    return f"{blocks}.{match[2]}.{inner}.{'weight' if match[4] == 'scale' else match[4]}"


def _neighbours(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """Rows of heads of so many numbers: those of both halves that are turned together become neighbours."""
    heads = tensor.unflatten(0, (-1, 2, width // 2))
    return heads.transpose(1, 2).reshape(tensor.shape)  # type: ignore[no-any-return]
