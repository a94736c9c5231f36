"""Write what is said onto frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Map, StreamKind
from flowsynth.operators.picture._text import text_picture
from flowsynth.operators.shared.colors import Color
from flowsynth.operators.shared.files import named_files
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.media.subtitles import Cue


class BurnSubtitles(Operator):
    """Write what is said onto the frames during which it is said.

    Frame i stands for the moment i / fps. Cues longer than `max_chars` are split between words, each part
    as long in time as it is long in letters. Without a font file text is drawn in the font inside Pillow,
    which has ASCII only; a font that lacks a character is refused.

    Inputs:
        frames: T, C, H, W with a rate.
        cues: a list of ``{"start": seconds, "end": seconds, "text": ...}`` in order, such as `speak`'s;
            else `file` is read.

    Output:
        Frames like the input.

    Errors:
        RequestError: frames without a rate; cues that overlap; a font that lacks a character.
        InputError: a file that is missing or no SubRip file.
    """

    op: ClassVar[str] = "burn_subtitles"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    positional: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torch", "pillow")

    file: Path | None = Field(
        default=None, description="a SubRip file (.srt), where no cues come along an edge"
    )
    size: float = Field(
        default=0.055, gt=0, le=0.5, description="height of a line in short sides of the frame"
    )
    position: Literal["top", "centre", "bottom"] = Field(default="bottom", description="where in the frame")
    margin: float = Field(default=0.08, ge=0, le=0.5, description="from the border, in frame heights")
    max_chars: int = Field(default=42, ge=8, le=400, description="letters that are shown at a time")
    colour: Color = Field(default="white", description="such as white or #ffcc00")
    outline: Color | None = Field(default="black", description="a rim around the letters; null for none")
    font: Path | None = Field(default=None, description="a TrueType or OpenType file; the built-in font")

    def stream(self) -> StreamKind:
        """Frame by frame; which one it is says the moment."""
        return Map()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Cues from one place."""
        given = [*(["params.file"] * (self.file is not None)), *(["inputs.cues"] * ("cues" in inputs))]
        if len(given) == 1:
            return []
        return [
            Fault("params.file", "cues come from one place", "a file or an edge to cues", " and ".join(given))
        ]

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The font and the cues."""
        del ctx
        return named_files({"font": self.font, "file": self.file})

    def run(self, ctx: RunContext, /, *, frames: Frames, cues: list[Any] | None = None) -> Frames:
        """Write on each frame."""
        import torch

        from flowsynth.media.subtitles import text_at
        from flowsynth.values.frames import as_float

        if frames.fps is None:
            raise RequestError(f"{ctx.node or self.op}: frames: expected a clip with a rate, given pictures")
        shown = self._cues(ctx, cues)
        start, out, drawn = ctx.span.start if ctx.span else 0, [], ("", torch.empty(0))
        for index, frame in enumerate(frames.chunks(1)):
            ctx.progress(index, frames.num_frames)
            text = text_at(shown, float((start + index) / frames.fps))
            if not text:
                out.append(frame)
                continue
            if drawn[0] != text:
                drawn = text, self._drawn(ctx, text, frames)
            written = self._laid(as_float(frame.to(ctx.device)), drawn[1])
            out.append(frames.like(written).tensor.to(frame.device))
        return frames.with_data(torch.cat(out)) if out else frames

    def _cues(self, ctx: RunContext, cues: list[Any] | None) -> list[Cue]:
        from flowsynth.media.subtitles import checked, parse_srt, shaped

        file = self.files(ctx).get("file")
        if file is not None:
            try:
                cues = parse_srt(file.read_text(encoding="utf-8"), f"{file} (params.file)")
            except UnicodeDecodeError:
                raise InputError(f"{file}: expected text in UTF-8 (params.file)") from None
        return shaped(checked(cues, ctx.node or self.op), self.max_chars)

    def _drawn(self, ctx: RunContext, text: str, frames: Frames) -> Tensor:
        short = min(frames.height, frames.width)
        font = self.files(ctx).get("font")
        width = round(0.92 * frames.width)
        size = max(6, round(self.size * short))
        return text_picture(text, size, self.colour, self.outline, width, font).to(ctx.device)

    def _laid(self, frame: Tensor, text: Tensor) -> Tensor:
        from flowsynth.functional.picture.composite import over
        from flowsynth.functional.picture.layout import anchored

        margin = round(self.margin * frame.shape[-2])
        inner, outer = (text.shape[-2], text.shape[-1]), (frame.shape[-2], frame.shape[-1])
        top, left = anchored(self.position, inner, outer, margin)
        return over(frame, text, top, left, 1.0)
