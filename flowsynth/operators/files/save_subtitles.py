"""Write what is said into a subtitle file."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.values import FileSet


class SaveSubtitles(Operator):
    """Write cues as subtitle files, which players show beside a video.

    Inputs:
        cues: a list of ``{"start": seconds, "end": seconds, "text": ...}`` in order, such as `speak`'s.

    Output:
        ``subtitles.srt`` (SubRip), ``subtitles.ass`` (SubStation Alpha), ``subtitles.vtt`` (WebVTT).

    Errors:
        RequestError: cues that overlap, or are none.
    """

    op: ClassVar[str] = "save_subtitles"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    formats: tuple[Literal["srt", "ass", "vtt"], ...] = Field(
        default=("srt",), min_length=1, description="files to write"
    )
    max_chars: int = Field(default=42, ge=8, le=400, description="letters that are shown at a time")

    def run(self, ctx: RunContext, /, *, cues: list[Any]) -> FileSet:
        """Write them."""
        from flowsynth.media.subtitles import checked, shaped, to_ass, to_srt, to_vtt

        shown = shaped(checked(cues, ctx.node or self.op), self.max_chars)
        writers = {"srt": to_srt, "ass": to_ass, "vtt": to_vtt}
        return FileSet({f"subtitles.{name}": writers[name](shown).encode() for name in self.formats})
