"""What a ControlNet makes of its control maps before its first block: the same at every step, so kept."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from flowsynth.models.requests import FrameReader

if TYPE_CHECKING:
    import torch

#: Bytes of embedded maps that are kept for a ControlNet; what is beyond is embedded anew at every step.
KEPT_BYTES = 256 << 20
_LAYERS = "controlnet_cond_embedding"


class Conditions:
    """The control maps of a clip as a ControlNet takes them.

    Attributes:
        net: takes what `of` gives as ``controlnet_cond``: the network, or a copy of it that shares all its
            tensors and is without the layers that embed maps.
    """

    def __init__(self, net: Any, frames: FrameReader, kept_bytes: int = KEPT_BYTES) -> None:
        """Prepare a call; nothing is embedded yet.

        Args:
            net: a diffusers ``ControlNetModel``.
            frames: reader of its control images, 3 channels in [0, 1], at pixel size.
            kept_bytes: most bytes to keep.
        """
        self._embed = getattr(net, _LAYERS, None)
        if net.config.get("controlnet_conditioning_channel_order", "rgb") != "rgb":
            self._embed = None  # the network turns the channels round before it embeds them
        self.net = net if self._embed is None else without_embedding(net)
        self._dtype, self._frames = net.dtype, frames
        self._left = kept_bytes
        self._kept: dict[tuple[int, int], torch.Tensor] = {}

    def of(self, start: int, stop: int, device: torch.device, copies: int = 1) -> torch.Tensor:
        """The maps of the frames from ``start`` up to ``stop``, embedded once if there is room for them.

        Args:
            start: first frame.
            stop: end of the frames.
            device: of the network.
            copies: how often the frames lie in a batch, one after the other: the same in all of a call. They
                are embedded as one batch, as the network would: alone their last bits may differ.
        """
        import torch

        if (start, stop) in self._kept:
            return self._kept[start, stop]
        maps = self._frames(start, stop).to(device=device, dtype=self._dtype)
        maps = torch.cat([maps] * copies)
        if self._embed is None:
            return maps
        embedded: torch.Tensor = self._embed(maps)
        if embedded.nbytes <= self._left:
            self._left -= embedded.nbytes
            self._kept[start, stop] = embedded
        return embedded


def without_embedding(net: Any) -> Any:
    """A copy of a ControlNet that shares its tensors and takes embedded maps; the network stays as it is."""
    from torch import nn

    bare = copy.copy(net)
    bare._modules = {**net._modules, _LAYERS: nn.Identity()}
    return bare
