"""What varies a network: LoRAs, learned words, motion modules.

The base is never touched, so a node with an adapter cannot change what a later node without it sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.lora.apply import Adapter
from flowsynth.models.diffusion.lora.declared import Lora, adapter_file
from flowsynth.models.diffusion.lora.file import parse_lora
from flowsynth.models.diffusion.motion import MotionNorm, normalise_frames
from flowsynth.models.diffusion.sharing import sharing_copy
from flowsynth.models.families.sd.spec import TextualInversion
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import read_metadata, read_weights, tensors_only

if TYPE_CHECKING:
    import torch


def lora_adapters(loras: Sequence[Lora], *, offline: bool = False) -> list[Adapter]:
    """The declared LoRAs, read from their files.

    Raises:
        InputError: a file is missing, or holds anything besides a LoRA of this kind of model.
    """
    found = []
    for lora in loras:
        file = adapter_file(lora, offline=offline)
        tensors = tensors_only(read_weights(file))
        found.append(Adapter(parse_lora(file, tensors), read_metadata(file), lora.scale))
    return found


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
    """Token ids of learned words, in small letters: they follow the vocabulary, which ends before ``first``.

    Raises:
        InputError: two words that CLIP, which knows no capitals, would not tell apart.
    """
    ids: dict[str, tuple[int, ...]] = {}
    for word, vectors in words:
        if word.lower() in ids:
            raise InputError(
                f"textual inversion {word!r} is declared twice (capitals don't count); set token"
            )
        ids[word.lower()] = tuple(range(first, first + len(vectors)))
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


def with_motion(unet: Any, adapter: Any, norm: MotionNorm) -> Any:
    """A ``UNetMotionModel`` from a plain UNet and a motion adapter; the weights are copied.

    Args:
        unet: ``UNet2DConditionModel``.
        adapter: ``MotionAdapter``.
        norm: over what its modules take their statistics.

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
    if norm == "frame":
        normalise_frames(net)
    return net.eval().requires_grad_(False)
