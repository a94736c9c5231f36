"""Frames between keyframes by FastBlend: what each output frame reads, and its making."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Reads, StreamInfo
from flowsynth.operators.shared.frames import dtype_name
from flowsynth.values import Frames
from flowsynth.values.frames import as_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.patchmatch.search import MatchSettings


def keyed_info(inputs: Mapping[str, StreamInfo], step: int) -> StreamInfo:
    """Length and rate of the result: the guide's.

    Raises:
        RequestError: there are not as many keyframes as the guide has frames 0, step, 2 step, ...
    """
    keys, guide = inputs["frames"].length, inputs["guide"]
    if keys != -(-guide.length // step):
        raise RequestError(
            f"interpolate: a guide of {guide.length} frames at factor {step} needs "
            f"{-(-guide.length // step)} keyframes, given {keys}"
        )
    return guide


def keyed_reads(start: int, stop: int, inputs: Mapping[str, StreamInfo], step: int) -> Reads:
    """The keys around a run of output frames, and the guide's frames between these."""
    info = keyed_info(inputs, step)
    left, right = start // step, min(-(-(stop - 1) // step), inputs["frames"].length - 1)
    end = min(max(right * step + 1, stop), info.length)
    return Reads({"frames": (left, right + 1), "guide": (left * step, end)}, [start - left * step])


def render_keyed(
    ctx: RunContext,
    frames: Frames,
    guide: Frames,
    step: int,
    *,
    settings: MatchSettings,
    tracking: bool,
    cut: float,
) -> Tensor:
    """Make the output frames asked for: T, C, H, W in the keyframes' dtype.

    Raises:
        RequestError: keyframes and guide differ in size, or don't belong together in number.
    """
    import torch

    from flowsynth.functional.patchmatch.fastblend import Remapper
    from flowsynth.functional.patchmatch.keyframes import between_keys

    if frames.frame_shape[1:] != guide.frame_shape[1:]:
        sizes = " and ".join(f"{clip.width}x{clip.height}" for clip in (frames, guide))
        raise RequestError(f"interpolate: keyframes and guide must be of one size, given {sizes}")
    start, stop = 0, guide.num_frames
    if ctx.span is None:
        keyed_info({"frames": StreamInfo(frames.num_frames), "guide": StreamInfo(stop)}, step)
    elif isinstance(ctx.span.geometry, list):
        start = int(str(ctx.span.geometry[0]))
        stop = start + ctx.span.count
    remap = Remapper(
        guide.tensor.to(ctx.device), settings, lambda _: ctx.check_cancelled(), tracking=tracking
    )
    made: list[Tensor] = []
    device = frames.parts[0].device
    for picture in between_keys(frames.tensor.to(ctx.device), step, start, stop, remap=remap, cut=cut):
        ctx.progress(len(made), stop - start)
        made.append(as_dtype(picture, dtype_name(frames)).to(device))
    return torch.stack(made) if made else frames.tensor[:0]
