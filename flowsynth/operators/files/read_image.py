"""Read pictures as frames."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.filehash import watch_folder
from flowsynth.core.paths import user_path
from flowsynth.core.shipped import asset_folder
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.media.errors import MediaNotFoundError, MediaRangeError
from flowsynth.media.rational import Resample, parse_fps
from flowsynth.media.suffixes import PICTURE_SUFFIXES
from flowsynth.operators.files._media import FrameRate, FrameType, Rated, Side, to_tensor
from flowsynth.values import Frames

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_SHIPPED = "picture:"


class ReadImage(Rated):
    """Read one picture, or several as the frames of a clip.

    EXIF orientation is applied, colours of an embedded profile (Display P3, CMYK) are brought to sRGB with a
    note, grey becomes RGB, alpha is laid over white unless `take` says
    otherwise, an animation gives its first frame. Several pictures
    come in the order of their names, numbers by value (2 before 10). Resizing is that of `read_video`: the
    centre is cropped to the aspect first. Without it, all pictures must have one size.

    Inputs:
        none.

    Output:
        T, 3, H, W: uint8 in [0, 255], or float in [0, 1]; T is 1 for one picture.

    Errors:
        InputError: no such file, no picture, different sizes, too many pixels: one message with path,
            expected and found.
    """

    op: ClassVar[str] = "read_image"
    version: ClassVar[int] = 1
    positional: ClassVar[bool] = True
    io: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("av", "pillow")

    path: str = Field(
        description='a picture, a folder of pictures, a pattern such as "shots/*.png", or picture:astronaut'
    )
    fps: FrameRate = Field(default=None, description="frames a second, where the pictures are a clip")
    max_frames: int | None = Field(default=None, ge=1, description="at most so many pictures")
    copies: int = Field(
        default=1, ge=1, le=10_000, description="of all pictures, one after another: for as many variations"
    )
    width: Side = Field(default=None, description="of a frame, pixels")
    height: Side = Field(default=None, description="of a frame, pixels")
    short_side: Side = Field(
        default=None, description="the shorter side, where neither width nor height is given"
    )
    resample: Resample = Field(default="lanczos", description="filter of the resize")
    dtype: FrameType = Field(default="uint8", description="of the frames; floats keep 16-bit pictures whole")
    take: Literal["picture", "colour", "alpha"] = Field(
        default="picture",
        description="with alpha over white, its colours without alpha, or its alpha as grey",
    )

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The size asked for, where both sides are given."""
        del sizes
        return None if self.width is None or self.height is None else (self.width, self.height)

    def stream(self) -> StreamKind:
        """Reads from outside the graph."""
        return Source()

    @property
    def told_rate(self) -> float | str | None:
        """What `fps` says."""
        return self.fps

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """All pictures, in order; the first under the parameter's own name."""
        del ctx
        return {"path" if k == 0 else f"path[{k}]": file for k, file in enumerate(self._pictures())}

    def probe(self, ctx: RunContext) -> StreamInfo:
        """Number of pictures, and from their headers whether they are of one size where they must be."""
        pictures = self._pictures()
        if len(pictures) > 1 and self.width is None and self.height is None and self.short_side is None:
            self._require_one_size(ctx, pictures)
        return StreamInfo(len(pictures) * self.copies, None if self.fps is None else parse_fps(self.fps))

    def _require_one_size(self, ctx: RunContext, pictures: Sequence[Path]) -> None:
        from flowsynth.media.pictures import picture_size

        first = picture_size(pictures[0])
        for picture in pictures[1:]:
            ctx.check_cancelled()
            if (size := picture_size(picture)) != first:
                raise _of_another_size(picture, size, pictures[0], first)

    def run(self, ctx: RunContext, /) -> Frames:
        """Read the pictures of the span, or all."""
        import numpy as np

        pictures = self._pictures()
        start, stop = (ctx.span.start, ctx.span.stop) if ctx.span else (0, len(pictures) * self.copies)
        first = self._read(ctx, pictures[0])
        target = first.shape[1], first.shape[0]
        frames = []
        for k in range(start, stop):
            ctx.progress(k - start, stop - start)
            picture = pictures[k % len(pictures)]
            frames.append(first if picture == pictures[0] else self._read(ctx, picture, target))
            if frames[-1].shape != first.shape:
                size = frames[-1].shape[1], frames[-1].shape[0]
                raise _of_another_size(picture, size, pictures[0], target)
        if len({frame.dtype for frame in frames}) > 1:
            # 8 and 16 bits mixed: 255 * 257 is 65535.
            frames = [f if f.dtype == np.uint16 else f.astype(np.uint16) * np.uint16(257) for f in frames]
        fps = None if self.fps is None else parse_fps(self.fps)
        return Frames(to_tensor(np.stack(frames), self.dtype), fps=fps)

    def _read(self, ctx: RunContext, path: Path, target: tuple[int, int] | None = None) -> Array:
        from flowsynth.media.geometry import fit, target_size
        from flowsynth.media.pictures import read_picture

        picture = read_picture(
            path,
            deep=self.dtype != "uint8",
            note=lambda text: ctx.note(f"{path.name}: {text}"),
            take=self.take,
        )
        if self.width is None and self.height is None and self.short_side is None:
            return picture
        own = picture.shape[1], picture.shape[0]
        size = target or target_size(own, self.width, self.height, self.short_side)
        return fit(picture, size, self.resample)

    def _pictures(self) -> list[Path]:
        if self.path.startswith(_SHIPPED):
            return [_shipped(self.path)]
        path = user_path(self.path)
        if path.is_dir():
            watch_folder(path)
            found = [file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES]
        elif glob.has_magic(str(path)) and not path.exists():
            watch_folder(path, deep=True)
            found = [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207  absolute patterns too
            found = [file for file in found if file.suffix.lower() in PICTURE_SUFFIXES]
        else:
            return [path]
        if not found:
            raise MediaNotFoundError(self.path, f"pictures ({', '.join(PICTURE_SUFFIXES)})", "none")
        return sorted(found, key=_natural)[: self.max_frames]


def _of_another_size(
    path: Path, size: tuple[int, int], first: Path, wanted: tuple[int, int]
) -> MediaRangeError:
    expected = f"a picture of {wanted[0]}x{wanted[1]} as {first.name} (or give width and height)"
    return MediaRangeError(path, expected, f"{size[0]}x{size[1]}")


def _shipped(name: str) -> Path:
    """The file of ``picture:NAME``, a picture inside the package."""
    folder = asset_folder("pictures")
    files = {file.stem: file for file in folder.glob("*") if file.suffix.lower() in PICTURE_SUFFIXES}
    found = files.get(name.removeprefix(_SHIPPED))
    if found is None:
        raise MediaNotFoundError(name, f"a file, or {_SHIPPED} and one of {', '.join(sorted(files))}", "none")
    return found


def _natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that takes runs of digits by value."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts)
