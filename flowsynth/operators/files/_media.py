"""What operators on media files share: names to files, frames to arrays and back, faults of settings."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.core.paths import user_path
from flowsynth.core.shipped import asset_folder
from flowsynth.core.sizes import Size
from flowsynth.media.errors import MediaError, MediaNotFoundError
from flowsynth.media.rational import parse_fps, parse_instant
from flowsynth.values import Frames
from flowsynth.values.frames import as_dtype, as_float, as_rgb

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[Any]

FrameType = Literal["uint8", "float32", "float16"]


def _checked_rate(value: float | str | None) -> float | str | None:
    if value is not None:
        parse_fps(value)
    return value


#: Frames a second as people write them: 12, 29.97 or "30000/1001".
FrameRate = Annotated[float | str | None, AfterValidator(_checked_rate)]
#: Pixels across or down; more is a slip of the keyboard.
Side = Annotated[int | None, Field(ge=1, le=32_768)]

#: Which of several streams: its place among those of its kind, or its language.
StreamChoice = Annotated[int, Field(ge=0)] | str | None

_CLIP, _SOUND = "clip:", "sound:"
#: Frames converted at a time: a frame of 1080p is 25 MB as float32.
_STEP = 4


def find_file(ctx: RunContext, path: str) -> Path:
    """Turns what a user gives into a file: a path, or ``clip:NAME`` of the catalogue, fetched at first use.

    ``sound:NAME`` is music inside the package.

    ``clip:default`` is real footage, or without network a clip made of a shipped picture; a note says which.

    Raises:
        InputError: No such name.
        FetchError: It can't be had.
    """
    if path.startswith(_SOUND):
        return _shipped_sound(path)
    if not path.startswith(_CLIP):
        return user_path(path)
    from flowsynth.cache.location import default_cache_dir
    from flowsynth.media.clips import DEFAULT, fetch_clip
    from flowsynth.media.fallback import default_clip

    name, folder = path.removeprefix(_CLIP), ctx.cache_dir or default_cache_dir()
    if name != DEFAULT:
        return fetch_clip(name, folder, offline=ctx.offline)
    file, description = default_clip(folder, offline=ctx.offline)
    ctx.note(f"{path} is {description}")
    return file


def _shipped_sound(path: str) -> Path:
    files = {file.stem: file for file in asset_folder("sounds").glob("*.ogg")}
    found = files.get(path.removeprefix(_SOUND))
    if found is None:
        raise MediaNotFoundError(path, f"a file, or {_SOUND} and one of {', '.join(sorted(files))}", "none")
    return found


class Rated(Operator):
    """A reader that may be told the rate of what it gives."""

    @property
    def told_rate(self) -> float | str | None:
        """As it was written; None where nothing was."""
        return None


def declared_rate(source: object) -> Fraction:
    """The rate that a reader upstream was told to give; 24, which everything takes, where it wasn't."""
    rate = source.told_rate if isinstance(source, Rated) else None
    return Fraction(24) if rate is None else parse_fps(rate)


def stored_size(path: str, video_stream: StreamChoice) -> Size | None:
    """The size in the header of a video file, as coded: a turn is said in its frames."""
    file = None if path.startswith(_CLIP) else user_path(path)
    if file is None or not file.is_file():
        return None
    from flowsynth.media.choose import choose_video
    from flowsynth.media.source import open_input

    try:
        with open_input(file) as container:
            context = choose_video(container, file, video_stream).codec_context
            width, height = int(context.width), int(context.height)
    except MediaError:
        return None  # a fault of its own
    return (width, height) if min(width, height) else None


def order_faults(first: str, last: str, start: Any, end: Any) -> list[Fault]:
    """What is wrong with two moments of a range, where both are of one kind."""
    if end is None:
        return []
    begin, stop = parse_instant(start), parse_instant(end)
    if isinstance(begin, int) is not isinstance(stop, int) or stop > begin:
        return []
    return [Fault(f"params.{last}", "leaves nothing", f"a moment after {first} ({start})", str(end))]


def to_tensor(pictures: Array, dtype: FrameType) -> torch.Tensor:
    """Turns (T, H, W, C) uint8 or uint16 into T, C, H, W of a type (floats in [0, 1])."""
    import numpy as np
    import torch

    if dtype == "uint8":
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    limit = np.float32(np.iinfo(pictures.dtype).max)
    parts = [torch.from_numpy(picture.astype(np.float32) / limit) for picture in pictures]
    return torch.stack(parts).permute(0, 3, 1, 2).to(getattr(torch, dtype)).contiguous()


def to_arrays(frames: Frames, *, deep: bool = False) -> Iterator[Array]:
    """Gives the frames one by one as (H, W, 3) uint8, or uint16 over the full range; alpha is dropped.

    Raises:
        ValueError: A frame holds NaN.
    """
    import numpy as np
    import torch

    for part in frames.chunks(_STEP):
        rgb = as_rgb(part.cpu())
        if deep:
            values = as_dtype(as_float(rgb), "float32").mul(65_535).round_().to(torch.int32).numpy()
            pictures = values.astype(np.uint16)
        else:
            pictures = (rgb if rgb.dtype == torch.uint8 else as_dtype(as_float(rgb), "uint8")).numpy()
        yield from np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
