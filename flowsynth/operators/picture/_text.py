"""Text as a picture, in a font file or the font that Pillow carries inside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.core.errors import InputError, RequestError
from flowsynth.operators.shared.colors import rgb_of

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from torch import Tensor

_NO_CHARACTER = "\uffff"  # by definition never one: every font draws its sign for what it lacks


def text_picture(
    text: str, size: int, colour: str, outline: str | None, width: int, font_file: Path | None = None
) -> Tensor:
    """Draw text, its lines centred, on nothing.

    Args:
        text: lines are kept, and broken between words where they get wider than `width`.
        size: of the font, pixels.
        colour: of the letters.
        outline: colour of a rim of a twelfth of the size around them; None for none.
        width: pixels that a line may take.
        font_file: TrueType or OpenType; None takes the font inside Pillow, which has ASCII only.

    Returns:
        `(1, 4, h, w)` float32 in [0, 1], straight alpha.

    Raises:
        InputError: the file is missing or no font.
        RequestError: the font lacks a character.
    """
    import torch

    font = _font(font_file, size)
    _check_characters(text, font, font_file)
    lines = "\n".join(_wrapped(line, font, width) for line in text.splitlines())
    rim = max(1, round(size / 12)) if outline is not None else 0
    letters, shape = _coverage(lines, font, rim, 0), _coverage(lines, font, rim, 255)
    shape = torch.maximum(shape, letters)
    share = letters / shape.clamp(min=1e-6)
    inner, outer = (torch.tensor(rgb_of(name)).view(3, 1, 1) for name in (colour, outline or colour))
    return torch.cat((torch.lerp(outer, inner, share), shape)).unsqueeze(0)


def _font(file: Path | None, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    try:
        # The other layout engine is not everywhere, and pictures must not depend on the machine.
        basic = ImageFont.Layout.BASIC
        font = ImageFont.load_default(size) if file is None else ImageFont.truetype(file, size, 0, "", basic)
    except OSError as error:
        raise InputError(f"{file}: expected a TrueType or OpenType font; {error}") from error
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RequestError("text needs Pillow with FreeType; given one without")
    return font


def _check_characters(text: str, font: FreeTypeFont, file: Path | None) -> None:
    """Refuse characters that would show as a box."""
    box = bytes(font.getmask(_NO_CHARACTER))
    missing = [c for c in dict.fromkeys(text) if not c.isspace() and bytes(font.getmask(c)) == box]
    if missing:
        name = "the built-in font, which has ASCII only," if file is None else file.name
        raise RequestError(f"params.text: {name} lacks {''.join(missing)!r}; params.font names a font file")


def _coverage(text: str, font: FreeTypeFont, rim: int, rim_level: int) -> Tensor:
    """How much of each pixel letters cover, and their rim times `rim_level` / 255, `(1, h, w)`."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=font, stroke_width=rim, align="center"
    )
    first = int(left // 1), int(top // 1)
    canvas = Image.new("L", (max(1, int(-(-right // 1)) - first[0]), max(1, int(-(-bottom // 1)) - first[1])))
    ImageDraw.Draw(canvas).multiline_text(
        (-first[0], -first[1]),
        text,
        fill=255,
        font=font,
        align="center",
        stroke_width=rim,
        stroke_fill=rim_level,
    )
    return torch.from_numpy(np.asarray(canvas).copy()).float().div(255).unsqueeze(0)


def _wrapped(line: str, font: FreeTypeFont, width: int) -> str:
    """Break a line between words where it gets too wide."""
    rows: list[str] = []
    for word in line.split(" "):
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and font.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1:] = [longer]
    return "\n".join(rows)
