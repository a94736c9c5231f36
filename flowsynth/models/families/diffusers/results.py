"""What a pipeline's call ended with, as latents; and latents, as its decoder takes them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError, RunError
from flowsynth.models.diffusion.tree import flatten, rebuild, strided
from flowsynth.models.families.diffusers.formats import PIXELS
from flowsynth.models.families.diffusers.seams import Cut

if TYPE_CHECKING:
    import torch

    from flowsynth.values import Latents

#: Where latents of a clip hold those of its sound.
_SOUND = "sound"


def cut_latents(cut: Cut, given: Latents, space: str, sound: torch.Tensor | None = None) -> Latents:
    """What the decoder was about to get.

    Args:
        cut: where the call ended.
        given: the size that was asked for.
        space: of the decoder.
        sound: what the decoder of sound was about to get, if there is one.

    Raises:
        RunError: the call made several clips.
    """
    data: torch.Tensor = cut.args[0]
    rank = data.ndim
    if rank == 5:
        if data.shape[0] != 1:
            raise RunError(f"denoise: expected one clip, the pipeline's call made {data.shape[0]}")
        data = data[0].transpose(0, 1)
    names = ("z", "temb", "return_dict")[1 : len(cut.args)]
    arguments = {**dict(zip(names, cut.args[1:], strict=False)), **cut.kwargs}
    arguments.pop("generator", None)
    decoder: dict[str, Json] = {
        "rank": rank,
        "strides": list(cut.args[0].stride()),
        "arguments": flatten(_listed(arguments), {}),
    }
    if sound is not None:  # a few numbers beside those of the pictures
        decoder[_SOUND] = flatten(_listed({"z": sound}), {})
    return replace(given, data=data.contiguous().cpu(), space=space, empty=False, decoder=decoder)


def sound_latents(latents: Latents, device: str) -> torch.Tensor:
    """What the decoder of sound is to get.

    Raises:
        RequestError: the latents were made without sound.
    """
    import torch

    extra = latents.decoder if isinstance(latents.decoder, dict) else {}
    if _SOUND not in extra:
        raise RequestError("audio_decode: these latents hold no sound; expected those of denoise")
    held = rebuild(extra[_SOUND], {})
    made: torch.Tensor = _tensors(held, torch.empty(0, device=device))["z"]
    return made


def pixel_latents(given: Any, asked: Latents) -> Latents:
    """The frames that a pipeline without a seam at its decoder returned."""
    import torch

    made = torch.as_tensor(given[0])  # N or 1 x T, then H x W x C, in [0, 1]
    frames = (made[0] if made.ndim == 5 else made).movedim(-1, 1).float().contiguous()
    height, width = frames.shape[-2:]
    return replace(asked, data=frames, space=PIXELS, empty=False, height=height, width=width)


def decoded(network: Any, latents: Latents, device: str, *, own_dtype: bool = False) -> torch.Tensor:
    """Frames T x 3 x H x W in [0, 1], by a decoder with the arguments that it was to get.

    Args:
        network: the decoder.
        latents: what it is to decode.
        device: torch's name of where.
        own_dtype: the decoder's dtype holds; else that of the latents, to which a pipeline would cast it.
    """
    extra = latents.decoder if isinstance(latents.decoder, dict) else {}
    data = latents.tensor.to(device)
    if extra.get("rank") == 5:
        data = data.transpose(0, 1)[None]
    if extra.get("strides"):
        data = strided(data, extra["strides"])
    if own_dtype:
        data = data.to(network.dtype)
    if data.dtype != network.dtype:  # a decoder that overflows in half precision was to run in full
        network = copy.deepcopy(network).to(data.dtype)
    arguments = rebuild(extra.get("arguments"), {}) or {}
    return pixels(network, data, **_tensors(arguments, data))


def pixels(network: Any, data: torch.Tensor, **arguments: Any) -> torch.Tensor:
    """Frames T x 3 x H x W, float32 in [0, 1], of what a decoder takes: T or 1 x C x T'."""
    import torch

    with torch.no_grad():
        made = network.decode(data, **arguments)
    values: torch.Tensor = made[0] if isinstance(made, tuple) else made["sample"]
    frames = values[0].transpose(0, 1) if values.ndim == 5 else values
    return (frames.float() / 2 + 0.5).clamp(0, 1)


def _listed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A decoder's further arguments with tensors, which are small there, as lists of numbers."""
    import torch

    return {
        name: {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
        if isinstance(value, torch.Tensor)
        else value
        for name, value in arguments.items()
    }


def _tensors(arguments: Mapping[str, Any], like: torch.Tensor) -> dict[str, Any]:
    """The inverse of `_listed`."""
    import torch

    return {
        name: torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"]), device=like.device)
        if isinstance(value, dict) and "tensor" in value
        else value
        for name, value in arguments.items()
    }
