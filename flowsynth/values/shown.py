"""Pictures, clips and files as notebooks show them."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from flowsynth.values.clip import Clip

#: Longer side of a single picture, and of each of a strip's, pixels.
_ALONE, _OF_STRIP = 1024, 256
#: Pictures of a strip, and between them, pixels.
_MOST, _GAP = 8, 4
#: What is put into a page whole.
_MAX_BYTES = 25 * 2**20
_FILMS = {".mp4": "video/mp4", ".webm": "video/webm"}
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}


def clip_png(clip: Clip) -> bytes | None:
    """A picture, or up to eight evenly spaced frames of a clip side by side, as PNG; None of no frames."""
    count = clip.num_frames
    if not count or not all(clip.frame_shape):
        return None
    places = [round(k * (count - 1) / max(min(count, _MOST) - 1, 1)) for k in range(min(count, _MOST))]
    side = _ALONE if count == 1 else _OF_STRIP
    shown = [_picture(clip.frame(place), side) for place in places]
    from PIL import Image

    size = sum(each.width for each in shown) + _GAP * (len(shown) - 1), shown[0].height
    sheet = Image.new("RGB", size, "white")
    left = 0
    for each in shown:
        sheet.paste(each, (left, 0))
        left += each.width + _GAP
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _picture(frame: torch.Tensor, side: int) -> Any:
    """A frame, C x H x W, as a picture of PIL's, its longer side at most so many pixels, alpha over white."""
    from PIL import Image

    wide = frame.dtype.is_floating_point
    pixels = frame.float().mul(255).round().clamp(0, 255).byte() if wide else frame
    array = pixels.permute(1, 2, 0).cpu().contiguous().numpy()
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def video_html(data: bytes | memoryview, suffix: str, info: Mapping[str, Any]) -> str:
    """A video that plays in the page; of what no browser plays, or is too large, what it is."""
    said = ", ".join(f"{name} {value}" for name, value in info.items())
    size = len(memoryview(data).cast("B"))
    if suffix in _PICTURES and size <= _MAX_BYTES:
        return f'<img src="{_address(data, _PICTURES[suffix])}" alt="{html.escape(said)}">'
    if suffix not in _FILMS or size > _MAX_BYTES:
        why = "too large to be shown here" if suffix in _FILMS else "not played by browsers"
        return f"<p>A video ({html.escape(suffix)}, {size} bytes; {html.escape(said)}), {why}.</p>"
    address = _address(data, _FILMS[suffix])
    return f'<video controls loop muted src="{address}" title="{html.escape(said)}"></video>'


def files_html(files: Mapping[str, bytes | memoryview]) -> str:
    """The first pictures among files, and the names of the others."""
    parts, left, others = list[str](), _MAX_BYTES, list[str]()
    for name, data in files.items():
        kind = _PICTURES.get(name[name.rfind(".") :].lower())
        size = len(memoryview(data).cast("B"))
        if kind is None or len(parts) == _MOST or size > left:
            others.append(name)
            continue
        left -= size
        alt = html.escape(name)
        parts.append(f'<img src="{_address(data, kind)}" alt="{alt}" title="{alt}" style="max-width:20em">')
    rest = f"<p>and {html.escape(', '.join(others[:20]))}{' ...' if len(others) > 20 else ''}</p>"
    return "\n".join([*parts, *([rest] if others else [])])


def _address(data: bytes | memoryview, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
