"""Give a clip the colours of a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Scan, StreamKind
from flowsynth.functional.cut.threshold import CUT, CUT_TEXT
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames, Tensors
from flowsynth.values.frames import as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor

_MOST_FRAMES = 64  # evenly spaced ones stand for a longer clip


class ColorMatch(Operator):
    """Match a clip's colours to a reference, in Oklab (Ottosson 2020), where distances look even.

    The reference is described once, over all its time (a clip of more than 64 frames by 64 evenly spaced
    ones), so that the result doesn't flicker with it. What the clip's own colours are is taken from
    `source` in the same way, usually the clip itself: then one fixed map serves all frames, and nothing
    pumps when something comes into view. Without `source` every frame is matched by itself: each gets the
    reference's colours, which also takes flicker out. That holds within one shot only: a clip with cuts
    (`cut`) is refused then.

    The methods:

    - ``mean_std``: mean and standard deviation of each channel (Reinhard et al. 2001).
    - ``transport``: mean and covariance, by the linear map that moves colours least (Pitie and Kokaram
      2007); also turns hues.
    - ``histogram``: the whole tone curve of each channel; the closest match, may posterise.

    Gains of the first two are at most 4. Grey frames are matched in lightness only; alpha stays, and does
    not weigh.

    Inputs:
        frames: T, C, H, W of any size and dtype; C is 1, 3 or 4.
        reference: one picture or more, of any size; held in memory or in the cache while the node runs.
        source: what stands for the clip's own colours, held likewise; each frame for itself if absent.

    Output:
        Frames like the input.

    Errors:
        RequestError: a reference or source without frames; without a source, a clip with a cut.
    """

    op: ClassVar[str] = "color_match"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    whole_ports: ClassVar[tuple[str, ...]] = ("reference", "source")

    method: Literal["mean_std", "transport", "histogram"] = Field(
        default="transport", description="what is matched"
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="0 leaves the clip, 1 matches fully")
    lightness: bool = Field(
        default=True, description="match lightness too; false leaves it and matches colour only"
    )
    cut: float = Field(default=CUT, ge=0, le=1, description=f"without source: {CUT_TEXT}")

    def stream(self) -> StreamKind:
        """Frame by frame; the descriptions, made once, are handed from chunk to chunk."""
        return Scan()

    def run(
        self, ctx: RunContext, /, *, frames: Frames, reference: Frames, source: Frames | None = None
    ) -> Frames:
        """Match each frame."""
        if ctx.state is None:
            known = {"reference": self._describe(ctx, "reference", reference)}
            if source is not None:
                known["source"] = self._describe(ctx, "source", source)
            ctx.state = Tensors(known)
        if source is None and frames.fps is not None:  # pictures have no rate, and no shots
            self._require_one_shot(ctx, frames)
        target = ctx.state.tensors["reference"].to(ctx.device)
        own = ctx.state.tensors["source"].to(ctx.device) if source is not None else None

        def render(frame: Tensor) -> Tensor:
            return self._matched(frame, own, target)

        return map_frames(ctx, frames, render)

    def _require_one_shot(self, ctx: RunContext, frames: Frames) -> None:
        """Raise at a cut, also between this chunk and the one before."""
        from flowsynth.functional.cut.shots import same_shot

        known = dict(ctx.state.tensors) if ctx.state is not None else {}
        before, start = known.get("last"), ctx.span.start if ctx.span else 0
        for index, frame in enumerate(frames.chunks(1)):
            if before is not None and not same_shot(before, frame, self.cut):
                raise RequestError(
                    f"color_match: cut before frame {start + index}; frames matched singly jump there: "
                    "connect `source` (usually the clip itself), trim to one shot, or set cut: 0"
                )
            before = frame
        if before is not None:
            ctx.state = Tensors({**known, "last": before.cpu().clone()})

    def _describe(self, ctx: RunContext, port: str, clip: Frames) -> Tensor:
        """Describe the colours of a whole clip."""
        from flowsynth.functional.motion.color_match import describe, sample
        from flowsynth.functional.show.sheet import evenly_spaced

        picked = []
        for index in evenly_spaced(_MOST_FRAMES, clip.num_frames):
            ctx.check_cancelled()
            picked.append(_oklab(as_float(clip.frame(index)[None].to(ctx.device)))[0])
        if not picked:
            raise RequestError(f"color_match: {port}: expected at least one frame, given none")
        return describe(sample(picked), self.method).cpu()

    def _matched(self, frame: Tensor, own: Tensor | None, target: Tensor) -> Tensor:
        """Match one frame, `(1, C, H, W)`."""
        import torch

        from flowsynth.functional.motion.color_match import describe, match
        from flowsynth.functional.picture.oklab import oklab_to_rgb

        if self.strength == 0:
            return frame
        lab = _oklab(frame)[0]
        own = describe(lab.flatten(1), self.method) if own is None else own
        moved = torch.lerp(lab, match(lab, own, target, self.method), self.strength)
        if not self.lightness:
            moved = torch.cat((lab[:1], moved[1:]))
        if frame.shape[1] == 1:
            grey = torch.cat((moved[:1].clamp(0, 1), torch.zeros_like(moved[1:])))
            return oklab_to_rgb(grey).mean(0, keepdim=True)[None]
        return torch.cat((oklab_to_rgb(moved)[None], frame[:, 3:]), dim=1)


def _oklab(frame: Tensor) -> Tensor:
    from flowsynth.functional.picture.oklab import rgb_to_oklab

    return rgb_to_oklab(as_rgb(frame))
