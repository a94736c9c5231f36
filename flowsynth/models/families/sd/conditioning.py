"""What a Stable Diffusion model's prompts became, as its denoiser takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.regions import SIDES, regions_of
from flowsynth.models.diffusion.travel import travel

if TYPE_CHECKING:
    import torch

    from flowsynth.models.families.sd.regional import Regions
    from flowsynth.values import Conditioning, Frames, Latents


def states(conditioning: Conditioning | None, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """States of prompt and negative prompt: 1 x L x D, or one a frame where the prompt travels.

    Args:
        conditioning: from this family's `text_encode`.
        frames: of the clip.

    Raises:
        RequestError: there is none, or it does not hold both prompts.
    """
    if conditioning is None or not {"prompt", "negative"} <= set(conditioning.tensors):
        raise RequestError("denoise: expected the conditioning that text_encode makes with this family")
    prompt, negative = (
        travel(conditioning.tensors[name], _frames(conditioning, f"{name}_frames"), frames)
        for name in ("prompt", "negative")
    )
    return prompt, negative


def several(conditioning: Conditioning | None, factor: int) -> Regions | None:
    """What `join_conditioning` and `place_conditioning` made; None for a prompt that is for the whole.

    Args:
        conditioning: of this family.
        factor: pixels along the side of a latent pixel.
    """
    from flowsynth.models.families.sd.regional import Regions

    if conditioning is None or "regions" not in conditioning.meta:
        return None
    prompt, negative = (regions_of(conditioning, side, "denoise") for side in SIDES)
    return Regions(prompt, negative, factor)


def mask_frames(mask: Frames, latents: Latents) -> torch.Tensor:
    """A mask as T or 1 x 1 x H x W in [0, 1].

    Raises:
        RequestError: empty latents, of which nothing is kept, or a mask of another length or size.
    """
    from flowsynth.functional.picture.composite import to_channels

    if latents.empty:
        raise RequestError("denoise: a mask on empty latents; expected those of a picture, from vae_encode")
    if mask.num_frames not in (1, latents.num_frames):
        raise RequestError(
            f"denoise: mask has {mask.num_frames} frames; expected 1 or {latents.num_frames}, as the latents"
        )
    given, wanted = (mask.width, mask.height), (latents.width, latents.height)
    if latents.height and given != wanted:
        raise RequestError(
            f"denoise: mask is {given[0]}x{given[1]}; expected the frames' {wanted[0]}x{wanted[1]};"
            " resize brings it there"
        )
    return to_channels(mask.to_float(), 1)


def _frames(conditioning: Conditioning, name: str) -> list[int]:
    found = conditioning.meta.get(name)
    return [int(str(frame)) for frame in found] if isinstance(found, list) else [0]
