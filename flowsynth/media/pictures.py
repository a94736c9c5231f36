"""Reading and writing single pictures."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from flowsynth.media.color import blend, to_pixels
from flowsynth.media.errors import (
    EncodeSettingsError,
    NotMediaError,
    PictureTooLargeError,
    TruncatedMediaError,
    raise_if_limit,
    require_file,
)
from flowsynth.media.geometry import orient
from flowsynth.media.icc import by_tables, profile_name, to_srgb
from flowsynth.media.orientation import exif_orientation
from flowsynth.media.provenance import embed_in_picture

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[Any]
PictureFormat = Literal["png", "jpeg", "webp"]

#: Pixels a picture may have: 16384 x 8192. A few kilobytes of PNG can claim far more than memory holds; of
#: this many an animated WebP takes most, 17 bytes each (2.2 GB), while its decoder and we hold copies.
MAX_PIXELS = 1 << 27
#: What Pillow raises of damaged files (a RuntimeError of AVIF); FFmpeg's errors of bad data are ValueErrors.
DAMAGE = (
    *(OSError, SyntaxError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, struct.error),
    RuntimeError,
)

#: Formats that are read, by Pillow's names; MPO is what phones write under .jpg.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "TGA", "AVIF", "JPEG2000", "ICO")
#: Suffix of each format.
SUFFIXES: dict[PictureFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


#: What is found in place of a picture that is read.
HEIC = "an HEIC picture, which isn't read (save it as JPEG, PNG or AVIF)"


def heif_kind(head: bytes) -> str:
    """Tells AVIF from HEIC by the first 64 bytes of a file; empty for others (ISO/IEC 23008-12, 10)."""
    if head[4:8] != b"ftyp":
        return ""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    heic = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
    return "heic" if head[8:12] in heic | {b"mif1", b"msf1"} else ""


def read_picture(
    path: str | os.PathLike[str],
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    deep: bool = False,
    max_pixels: int = MAX_PIXELS,
    note: Callable[[str], None] | None = None,
    take: Literal["picture", "colour", "alpha"] = "picture",
) -> Array:
    """Reads a picture as it is meant to be seen.

    EXIF orientation is applied, colours of an embedded profile are brought to sRGB, grey becomes three equal
    channels, alpha is laid over ``background``, an animation gives its first frame, 16 bits are rounded to 8
    unless ``deep``.

    Args:
        path: A picture in one of :data:`FORMATS`.
        background: RGB behind transparent pixels.
        deep: uint16 for pictures of 16 bits.
        max_pixels: Refuse larger ones before decoding.
        note: Told what was done that a user should know.
        take: All of it; its colours without alpha; or its alpha as grey, white where it is opaque.

    Returns:
        (H, W, 3), uint8, or uint16 for a deep picture.

    Raises:
        MediaNotFoundError: No such file.
        NotMediaError: A folder, or no picture.
        PictureTooLargeError: More than ``max_pixels``.
        TruncatedMediaError: The file ends inside the picture.
    """
    file = require_file(path, "a picture file")
    with _named_faults(path, file, max_pixels), open_picture(file) as picture:
        if picture.width * picture.height > max_pixels:
            raise _too_large(path, f"{picture.width}x{picture.height}", max_pixels)
        pixels = _upright(picture, file, path, note)
    rgb = _taken(pixels, take, background)
    return rgb if deep or rgb.dtype == np.uint8 else ((rgb + np.uint32(128)) // 257).astype(np.uint8)


def _taken(pixels: Array, take: str, background: tuple[int, int, int]) -> Array:
    """What is asked of a picture, (H, W, 3)."""
    if take == "alpha":
        alpha = pixels[..., 3:] if pixels.shape[2] == 4 else np.full_like(pixels[..., :1], _most(pixels))
        return np.repeat(alpha, 3, axis=2)
    if pixels.shape[2] == 4 and take == "picture":
        return blend(pixels, background)
    return np.ascontiguousarray(pixels[..., :3])


def _most(pixels: Array) -> int:
    return int(np.iinfo(pixels.dtype).max)


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of a picture as it is seen, from its header.

    Raises:
        MediaError: As :func:`read_picture`.
    """
    file = require_file(path, "a picture file")
    with _named_faults(path, file, MAX_PIXELS), open_picture(file) as picture:
        a, *_ = exif_orientation(picture.getexif().get(0x0112, 1))
        return picture.size if a else (picture.height, picture.width)


@contextmanager
def _named_faults(path: str | os.PathLike[str], file: Path, max_pixels: int) -> Iterator[None]:
    """Say what is wrong with a picture that cannot be read, as `MediaError` does."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        # Pillow warns of large pictures, for which we have a limit of our own, and of odd headers.
        warnings.simplefilter("ignore")
        try:
            yield
        except UnidentifiedImageError as error:
            raise _unknown(path, file) from error
        except Image.DecompressionBombError as error:
            raise _too_large(path, "more", max_pixels) from error
        except (*DAMAGE, MemoryError) as error:
            raise_if_limit(path, error)
            raise TruncatedMediaError(
                path, "a whole picture", f"damaged or missing data ({error})"
            ) from error


def _upright(
    picture: Image, file: Path, path: str | os.PathLike[str], note: Callable[[str], None] | None
) -> Array:
    """The pixels as they are seen, (H, W, 3 or 4), of 8 or 16 bits, in sRGB."""
    deep = _deep_pixels(file) if _is_deep(picture) else None
    stored = picture.getexif().get(0x0112, 1)
    # Some formats tell their profile only with the pixels, and Pillow itself turns a TIFF then.
    picture.load()
    turn = picture.getexif().get(0x0112, 1) if deep is None else stored
    pixels = _pixels(picture, path) if deep is None else deep
    profile = picture.info.get("icc_profile")
    if profile:
        pixels = in_srgb(picture, pixels, profile, note)
    return orient(pixels, exif_orientation(turn))


def in_srgb(
    picture: Image, pixels: Array, profile: bytes, note: Callable[[str], None] | None = None
) -> Array:
    """Colours of a profile as those of sRGB; the same pixels where they are already.

    Args:
        picture: The picture as Pillow has it.
        pixels: Its pixels, (H, W, 3 or 4).
        profile: Its ICC profile.
        note: Told where colours change.
    """
    curved = picture.mode not in ("CMYK", "LAB")
    colours = to_srgb(pixels[..., :3], profile) if curved else None
    if colours is None:
        source = picture if picture.mode in ("CMYK", "LAB", "L", "RGB") else picture.convert("RGB")
        converted = by_tables(source, profile)
        if converted is None:
            return pixels
        colours = np.asarray(converted)
        colours = colours if pixels.dtype == np.uint8 else colours.astype(np.uint16) * np.uint16(257)
    if np.array_equal(colours, pixels[..., :3]):
        return pixels
    if note is not None:
        note(f"colours of its profile ({profile_name(profile) or 'unnamed'}) are brought to sRGB")
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


def _is_deep(picture: Any) -> bool:
    """Whether a picture has 16 bits of which Pillow's own modes would keep 8."""
    if picture.format == "JPEG2000":
        return picture.mode in ("RGB", "RGBA", "LA")
    layout = [str(tile[3]) for tile in picture.tile]
    if picture.format == "PPM":
        return picture.mode == "RGB" and any(re.search(r"\b(?!255\b)\d{3,5}\b", each) for each in layout)
    return picture.format in ("PNG", "TIFF") and any(";16" in each for each in layout)


def open_picture(file: Path | BinaryIO) -> Image:
    """Opens a picture by Pillow in one of `FORMATS`.

    Others are not tried, whatever a file is called: for EPS Pillow starts a program, and some of its readers
    have seen no use in years.

    Raises:
        UnidentifiedImageError: None of them.
    """
    from PIL import Image

    Image.init()
    return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])


def _unknown(path: str | os.PathLike[str], file: Path) -> Exception:
    """What to say of a file that Pillow doesn't know."""
    with file.open("rb") as opened:
        kind = heif_kind(opened.read(64))
    if kind == "avif":
        return TruncatedMediaError(path, "a whole picture", "the start of an AVIF: damaged or cut off")
    if kind:
        return NotMediaError(path, "a picture file", HEIC)
    return NotMediaError(path, "a picture file", _moving(file) or "data in no known picture format")


def _moving(file: Path) -> str:
    """What a file is that FFmpeg takes for a video or for sound; empty for others."""
    from flowsynth.media.errors import MediaError
    from flowsynth.media.source import open_input

    try:
        with open_input(file) as container:
            if container.format.name.endswith("_pipe"):  # a picture
                return ""
            if container.streams.video:
                return "a video (read_video reads it)"
            return "sound (read_audio reads it)" if container.streams.audio else ""
    except MediaError:
        return ""


def _too_large(path: str | os.PathLike[str], found: str, limit: int) -> PictureTooLargeError:
    return PictureTooLargeError(path, f"a picture of at most {limit:,} pixels", found)


def _pixels(picture: Image, path: str | os.PathLike[str]) -> Array:
    """What Pillow decodes without loss, (H, W, 3 or 4)."""
    if picture.mode.startswith("I"):
        grey = np.clip(np.asarray(picture).astype(np.int64), 0, 65_535).astype(np.uint16)
        return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
    if picture.mode == "F":
        raise NotMediaError(path, "a picture of whole numbers", "floating-point samples")
    if picture.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return np.asarray(ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB"))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    return np.asarray(picture if picture.mode == mode else picture.convert(mode))


def _deep_pixels(file: Path) -> Array | None:
    """16 bits by FFmpeg, (H, W, 3 or 4); None for a picture of 8 bits, or one that it doesn't read."""
    import av
    from av.video.reformatter import VideoReformatter

    from flowsynth.media.source import open_container

    try:
        with open_container(file) as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise_if_limit(file, error)
        return None
    if max(component.bits for component in frame.format.components) <= 8:
        return None
    return to_pixels(frame, VideoReformatter(), deep=True)


def encode_picture(
    image: Array, format: PictureFormat = "png", *, quality: int = 95, text: str = ""
) -> bytes:
    """Encodes a picture; equal pixels give equal bytes.

    Args:
        image: (H, W) or (H, W, C): uint8 with 1, 3 or 4 channels (4 not for JPEG), or uint16 with 3 for PNG.
        format: PNG and WebP at quality 100 are lossless.
        quality: 1 to 100, for JPEG and WebP.
        text: Kept inside the file, see :mod:`flowsynth.media.provenance`.

    Raises:
        EncodeSettingsError: A shape or type that the format can't hold.
    """
    from PIL import Image

    image = image[:, :, None] if image.ndim == 2 else image
    channels = image.shape[2] if image.ndim == 3 else 0
    if image.dtype == np.uint16 and format == "png" and channels == 3:
        data = _encode_deep_png(image)
    elif image.dtype == np.uint8 and channels in ((1, 3) if format == "jpeg" else (1, 3, 4)):
        picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if channels == 1 else image))
        buffer = io.BytesIO()
        picture.save(buffer, format=format.upper(), **_save_options(format, quality))
        data = buffer.getvalue()
    else:
        expected = "uint8 pictures with 1, 3 or 4 channels (JPEG 1 or 3), or uint16 with 3 as PNG"
        raise EncodeSettingsError(format, expected, f"{image.dtype} of shape {image.shape}")
    return embed_in_picture(data, text) if text else data


def _save_options(format: PictureFormat, quality: int) -> dict[str, Any]:
    if format == "png":
        return {"compress_level": 6}
    if format == "jpeg":
        return {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    return {"quality": quality, "method": 4, "lossless": quality == 100, "exact": True}


def _encode_deep_png(image: Array) -> bytes:
    from av import CodecContext, VideoFrame

    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb48le").reformat(format="rgb48be")
    encoder: Any = CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb48be"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
