"""Variants of a network: LoRA and learned words on a copy that shares the base's tensors.

The base is never touched, so a node with an adapter cannot change what a later node without it sees.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.families.sd.parts import quiet
from flowsynth.models.families.sd.spec import Lora, TextualInversion, adapter_file
from flowsynth.models.weights import read_weights, tensors_only

if TYPE_CHECKING:
    import torch


def sharing_copy(net: Any) -> Any:
    """A copy of a module whose parameters and buffers are the original's own."""
    shared = {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())}
    return copy.deepcopy(net, shared)


def with_loras(net: Any, kind: str, loras: Sequence[Lora], *, offline: bool = False) -> Any:
    """A variant of a network with adapters, in order; the network itself if none concerns it.

    Args:
        net: UNet (with or without motion modules) or text encoder.
        kind: ``unet`` or ``text_encoder``.
        loras: the adapters.
        offline: never touch the network.

    Raises:
        InputError: a file holds no LoRA, or one of another architecture.
    """
    active: list[tuple[str, float]] = []
    variant = sharing_copy(net)
    with quiet():
        for i, lora in enumerate(loras):
            if _add_lora(variant, kind, f"lora{i}", lora, offline):
                active.append((f"lora{i}", lora.scale))
    if not active:
        return net
    _activate(variant, kind, active)
    return _settled(variant, net)


def _add_lora(net: Any, kind: str, name: str, lora: Lora, offline: bool) -> bool:
    """Put one adapter's layers into a network; False if the file has none for it."""
    from diffusers import StableDiffusionPipeline as Pipeline

    file = adapter_file(lora, offline=offline)
    weights = tensors_only(read_weights(file))
    try:
        state, alphas = Pipeline.lora_state_dict(dict(weights), unet_config=_unet_config(net, kind))
        if not state or not all("lora" in key for key in state):
            raise ValueError("its tensors are not named as a LoRA's")
        if not any(key.startswith(f"{kind}.") for key in state):
            return False
        if kind == "unet":
            Pipeline.load_lora_into_unet(state, alphas, net, adapter_name=name)
        else:
            Pipeline.load_lora_into_text_encoder(_folded(state, alphas or {}), None, net, adapter_name=name)
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{file}: not a LoRA of this model ({first})") from None
    return True


def _unet_config(net: Any, kind: str) -> Any:
    return net.config if kind == "unet" else None


def _folded(state: dict[str, Any], alphas: dict[str, float]) -> dict[str, Any]:
    """A text encoder's LoRA in peft's names, with its alphas multiplied in: up @ down * alpha / rank.

    Given apart, diffusers' names for alphas that differ from layer to layer match no module, and it
    recognises its own older names only where every projection has a LoRA.
    """
    folded = dict(state)
    for name, alpha in alphas.items():
        down = name.removesuffix(".alpha")
        if down in folded:
            folded[down] = folded[down] * (alpha / folded[down].shape[0])
    return {_peft_name(name): tensor for name, tensor in folded.items()}


def _peft_name(name: str) -> str:
    matrix = {"down": "A", "up": "B"}
    name = re.sub(r"\.to_(q|k|v|out)_lora\.(down|up)\.", lambda m: f".{m[1]}_proj.lora_{matrix[m[2]]}.", name)
    return re.sub(r"\.lora_linear_layer\.(down|up)\.", lambda m: f".lora_{matrix[m[1]]}.", name)


def _activate(net: Any, kind: str, active: Sequence[tuple[str, float]]) -> None:
    names, scales = [name for name, _ in active], [scale for _, scale in active]
    if kind == "unet":
        net.set_adapters(names, scales)
    else:
        from diffusers.loaders.lora_base import set_adapters_for_text_encoder

        set_adapters_for_text_encoder(names, net, scales)


def _settled(variant: Any, base: Any) -> Any:
    """The adapters' own tensors on the base's device and in its dtype; nothing else is moved."""
    for name, parameter in variant.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(device=base.device, dtype=base.dtype)
        parameter.requires_grad_(False)
    return variant.eval()


def read_embedding(item: TextualInversion, *, offline: bool = False) -> tuple[str, torch.Tensor]:
    """A learned word and its vectors (V x D), from diffusers' or AUTOMATIC1111's file.

    Raises:
        InputError: the file holds something else, or names no word.
    """
    file = adapter_file(item, offline=offline)
    data = read_weights(file)
    name = item.token
    if "string_to_param" in data:
        name, vectors = name or str(data.get("name") or file.stem), data["string_to_param"].get("*")
    elif "emb_params" in data:
        name, vectors = name or file.stem, data["emb_params"]
    else:
        found = tensors_only(data)
        if len(found) != 1:
            raise InputError(f"{file}: not a textual inversion (expected one embedding, found {len(found)})")
        key, vectors = next(iter(found.items()))
        name = name or key
    if getattr(vectors, "ndim", 0) not in (1, 2):
        raise InputError(f"{file}: not a textual inversion (no vectors inside)")
    return name, vectors.detach().reshape(-1, vectors.shape[-1])


def word_ids(words: Sequence[tuple[str, torch.Tensor]], first: int) -> dict[str, tuple[int, ...]]:
    """Token ids of learned words: they follow the vocabulary, which ends before ``first``."""
    ids: dict[str, tuple[int, ...]] = {}
    for word, vectors in words:
        ids[word] = tuple(range(first, first + len(vectors)))
        first += len(vectors)
    return ids


def with_words(net: Any, words: Sequence[tuple[str, torch.Tensor]]) -> Any:
    """A variant of a text encoder whose embedding table ends with learned vectors.

    Args:
        net: ``CLIPTextModel``. The tokenizer stays as it is: see :func:`word_ids`.
        words: word -> vectors (V x D).

    Raises:
        InputError: vectors of another width than the encoder's.
    """
    import torch

    if not words:
        return net
    variant = sharing_copy(net)
    embeddings = getattr(variant, "text_model", variant).embeddings
    table = embeddings.token_embedding.weight
    for word, vectors in words:
        if vectors.shape[1] != table.shape[1]:
            raise InputError(
                f"textual inversion {word!r} has vectors of {vectors.shape[1]};"
                f" this model's text encoder takes {table.shape[1]}"
            )
    added = [vectors.to(device=table.device, dtype=table.dtype) for _, vectors in words]
    table = torch.cat([table, *added])
    rows, width = table.shape
    embeddings.token_embedding = torch.nn.Embedding(rows, width, _weight=table, _freeze=True)
    return variant.eval()


def with_motion(unet: Any, adapter: Any) -> Any:
    """A ``UNetMotionModel`` from a plain UNet and a motion adapter; the weights are copied.

    Raises:
        InputError: the adapter was made for another UNet.
    """
    from diffusers import UNetMotionModel

    try:
        with quiet():
            net = UNetMotionModel.from_unet2d(unet, adapter).to(unet.device)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"the motion adapter does not fit this model's UNet ({first})") from None
    return net.eval().requires_grad_(False)
