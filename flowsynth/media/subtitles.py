"""Cues: what is said when. Shaping them to lines, and writing and reading subtitle files.

A cue is ``{"start": seconds, "end": seconds, "text": what is said}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from flowsynth.core.errors import RequestError

__all__ = ["Cue", "checked", "parse_srt", "shaped", "text_at", "to_ass", "to_srt", "to_vtt"]

Cue: TypeAlias = dict[str, Any]
_SRT_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")
_ASS_HEAD = """[Script Info]
ScriptType: v4.00+
WrapStyle: 0

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, Bold, Outline, Alignment, MarginV
Style: Default,Sans,18,&H00FFFFFF,&H00000000,1,1.5,2,20

[Events]
Format: Layer, Start, End, Style, Text
"""


def checked(cues: object, op: str) -> list[Cue]:
    """Cues in order.

    Raises:
        RequestError: they are no such list, end before they start, or overlap.
    """
    if not isinstance(cues, list):
        raise RequestError(f"{op}: cues: expected a list of start, end and text; given {type(cues).__name__}")
    before = 0.0
    for number, cue in enumerate(cues):
        try:
            start, end, text = float(cue["start"]), float(cue["end"]), str(cue["text"])
        except (TypeError, KeyError, ValueError):
            raise RequestError(f"{op}: cues[{number}]: expected start, end and text; given {cue!r}") from None
        if not before <= start <= end:
            raise RequestError(
                f"{op}: cues[{number}] ({text[:30]!r}): expected a start from {before:g} s on and an end"
                f" after it; given {start:g} to {end:g}"
            )
        before = end
    return list(cues)


def shaped(cues: Sequence[Cue], most: int) -> list[Cue]:
    """Cues of at most so many characters: long ones are split between words, their time by letters."""
    return [piece for cue in cues for piece in _split(cue, most)]


def _split(cue: Cue, most: int) -> Iterator[Cue]:
    rows: list[str] = []
    for word in str(cue["text"]).split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and len(longer) > most:
            rows.append(word)
        else:
            rows[-1:] = [longer]
    start, end, total = cue["start"], cue["end"], sum(map(len, rows))
    done = 0
    for row in rows:
        first = start + (end - start) * done / total
        done += len(row)
        yield {"start": first, "end": start + (end - start) * done / total, "text": row}


def text_at(cues: Sequence[Cue], seconds: float) -> str:
    """What is said at a moment; nothing between cues."""
    for cue in cues:
        if cue["start"] <= seconds < cue["end"]:
            return str(cue["text"])
    return ""


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip's format."""
    rows = []
    for number, cue in enumerate(cues, 1):
        first, last = (_clock(cue[end], ",", 3) for end in ("start", "end"))
        rows.append(f"{number}\n{first} --> {last}\n{cue['text']}\n")
    return "\n".join(rows)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT, as browsers read it."""
    rows = ["WEBVTT\n"]
    for cue in cues:
        first, last = (_clock(cue[end], ".", 3) for end in ("start", "end"))
        text = str(cue["text"]).replace("&", "&amp;").replace("<", "&lt;")
        rows.append(f"{first} --> {last}\n{text}\n")
    return "\n".join(rows)


def to_ass(cues: Sequence[Cue]) -> str:
    """Advanced SubStation Alpha; braces, which would be commands there, become brackets."""
    rows = [_ASS_HEAD]
    for cue in cues:
        first, last = (_clock(cue[end], ".", 2)[1:] for end in ("start", "end"))
        text = str(cue["text"]).replace("{", "(").replace("}", ")").replace("\n", "\\N")
        rows.append(f"Dialogue: 0,{first},{last},Default,{text}\n")
    return "".join(rows)


def _clock(seconds: float, point: str, digits: int) -> str:
    units = 10**digits
    whole = round(seconds * units)
    minutes, rest = divmod(whole // units, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}{point}{whole % units:0{digits}}"


def parse_srt(text: str, where: str) -> list[Cue]:
    """Read SubRip's format; tags such as ``<i>`` are left out.

    Raises:
        RequestError: it has no times; says where.
    """
    cues = []
    for block in re.split(r"\n\s*\n", text.lstrip("\ufeff").replace("\r", "").strip()):
        times = _SRT_TIME.findall(block.partition("-->")[0]) + _SRT_TIME.findall(block.partition("-->")[2])
        if len(times) < 2:
            raise RequestError(f"{where}: expected 00:00:01,000 --> 00:00:02,500 above {block[:40]!r}")
        start, end = (int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in times[:2])
        said = block.partition("-->")[2].partition("\n")[2]
        cues.append({"start": start, "end": end, "text": re.sub(r"<[^>]*>|\{[^}]*\}", "", said).strip()})
    return cues
