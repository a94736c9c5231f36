"""What a Stable Diffusion model's prompts became, as its denoiser takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.travel import travel

if TYPE_CHECKING:
    import torch

    from flowsynth.values import Conditioning


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


def _frames(conditioning: Conditioning, name: str) -> list[int]:
    found = conditioning.meta.get(name)
    return [int(str(frame)) for frame in found] if isinstance(found, list) else [0]
