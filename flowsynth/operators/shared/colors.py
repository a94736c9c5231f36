"""Colours as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from torch import Tensor


def rgb_of(text: str) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of a colour such as ``white``, ``#ffcc00`` or ``rgb(255, 204, 0)``.

    Raises:
        ValueError: no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise ValueError(f"expected a colour such as white or #ffcc00, given {text!r}") from error
    return red / 255, green / 255, blue / 255


def _checked(text: str) -> str:
    rgb_of(text)
    return text


#: A parameter that holds a colour.
Color = Annotated[str, AfterValidator(_checked)]


def as_channels(text: str, channels: int) -> Tensor:
    """A colour as `(channels,)` in [0, 1]: BT.601 luma for one channel, opaque for four."""
    import torch

    red, green, blue = rgb_of(text)
    if channels == 1:
        return torch.tensor([0.299 * red + 0.587 * green + 0.114 * blue])
    return torch.tensor([red, green, blue, 1.0][:channels])
