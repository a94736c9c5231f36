"""AnimateDiff on the UNet of pictures: two parts make one network, as its classes would themselves.

They would build it of networks with weights, at once and in every step. Here it is a part like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.motion import MotionNorm, normalise_frames
from flowsynth.models.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

#: The adapter's name among the parts.
ADAPTER = "motion_adapter"


def is_moving(parts: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a UNet of pictures is to become one of clips."""
    return ADAPTER in parts and parts.get("unet", ("", ""))[1] == "UNet2DConditionModel"


def moving_builder(
    unet: Callable[[], nn.Module], adapter: Callable[[], nn.Module]
) -> Callable[[], nn.Module]:
    """What makes the network of both without weights."""

    def build() -> nn.Module:
        return _joined(unet(), adapter(), load_weights=False)

    return build


def moving_loader(
    unet: Callable[[], nn.Module], adapter: Callable[[], nn.Module], dtype: Any, device: str
) -> Callable[[], nn.Module]:
    """What loads it; the two are not kept beside it.

    The loader raises InputError where the adapter was made for another UNet.
    """

    def load() -> nn.Module:
        return _joined(unet(), adapter()).to(device=device, dtype=dtype).eval()

    return load


def _joined(unet: Any, adapter: Any, **how: Any) -> nn.Module:
    from diffusers import UNetMotionModel

    try:
        with quiet():
            made: nn.Module = UNetMotionModel.from_unet2d(unet, adapter, **how)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"the motion adapter does not fit this model's UNet ({first})") from None
    return made


def set_norm(network: nn.Module, norm: MotionNorm) -> None:
    """Have a network's motion modules normalise as declared, with weights or without."""
    if norm == "frame":
        normalise_frames(network)
