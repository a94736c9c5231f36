"""What operators on frames share: one frame at a time in, float32 on the device, back in the clip's dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from flowsynth.core.context import RunContext
from flowsynth.values import Frames
from flowsynth.values.frames import NanCheck, as_float

if TYPE_CHECKING:
    from torch import Tensor


def map_frames(
    ctx: RunContext,
    frames: Frames,
    render: Callable[[Tensor], Tensor],
    kind: str | None = None,
    batch: int = 1,
) -> Frames:
    """Apply a function to each frame by itself, so that results don't depend on how a clip is cut.

    Args:
        ctx: gives the device; progress goes there.
        frames: the clip.
        render: maps `(N, C, H, W)` float32 in [0, 1] to `(N, C', H', W')`; what leaves [0, 1] is clamped.
        kind: of the result; the clip's own by default.
        batch: most frames at once, N; some functions give other last bits for other N.
    """
    import torch

    dtype, total, out = dtype_name(frames), frames.num_frames, []
    looked = NanCheck()
    batch, rests = ctx.portions.of(batch), ctx.portions.resting(frames.parts[0].device)
    for step, frame in enumerate(frames.chunks(batch)):
        ctx.progress(step * batch, total)
        rendered = render(as_float(frame.to(ctx.device)))
        out.append(looked.as_dtype(rendered, dtype).to(rests))
    looked.end()
    data = torch.cat(out) if out else frames.tensor
    return replace(frames, data=data, kind=frames.kind if kind is None else kind)


def dtype_name(frames: Frames) -> str:
    """Return the clip's dtype as `as_dtype` takes it."""
    return str(frames.parts[0].dtype).removeprefix("torch.")
