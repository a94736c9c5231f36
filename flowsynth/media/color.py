"""Decoded video frames to RGB arrays, and back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flowsynth.media.siting import Tagger, is_subsampled

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Array = npt.NDArray[Any]

#: AVColorSpace (ITU-T H.273, table 4) to libswscale's matrices:
#: BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020 twice.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_BT601, BT709, BT2020 = 5, 1, 9
UNSPECIFIED, LIMITED, FULL = 0, 1, 2
#: Luma of BT.709 in parts of 10,000 (ITU-R BT.709-6, 3.2).
_LUMA = np.array((2126, 7152, 722), np.uint64)
#: YCgCo, which libswscale doesn't know and would take for another matrix.
_YCGCO = 8
#: What libswscale takes for white in 16-bit RGB next to a YUV picture: 255 in the upper byte.
_SWS_WHITE = 65_280


class Layout(NamedTuple):
    """How a pixel format holds colours: ``rgb``, ``gray`` or ``yuv``; and its range when we write it."""

    kind: str
    range: int


@cache
def layout(pixel_format: str) -> Layout:
    """Tells a pixel format's kind; ``yuvj...`` and gray are written in full range, YUV else in limited."""
    from av import VideoFormat

    shape = VideoFormat(pixel_format, 16, 16)
    if shape.is_rgb or shape.has_palette:
        return Layout("rgb", FULL)
    # PyAV calls only subsampled components chroma, so grey is told by their number.
    if sum(not part.is_alpha for part in shape.components) == 1:
        return Layout("gray", FULL)
    return Layout("yuv", FULL if pixel_format.startswith("yuvj") else LIMITED)


def guessed_matrix(width: int, height: int) -> int:
    """The matrix of pictures that name none, as mpv and libplacebo take them: BT.709 for high definition."""
    return BT709 if width >= 1280 or height > 576 else _BT601


def _flags() -> int:
    """Libswscale's slow and exact paths: the same bits whatever the processor's vector units."""
    from av.video.reformatter import Interpolation as Flag

    return int(Flag.BICUBIC | Flag.ACCURATE_RND | Flag.FULL_CHR_H_INT | Flag.FULL_CHR_H_INP | Flag.BITEXACT)


def to_rgb(
    frame: VideoFrame, reformatter: VideoReformatter, *, deep: bool = False, background: tuple[int, int, int]
) -> Array:
    """Converts a decoded frame of any pixel format to RGB, alpha blended over ``background``.

    Args:
        frame: Decoded frame, with its chroma's place (see :class:`flowsynth.media.siting.Siting`).
        reformatter: Kept by the caller over all frames of a stream.
        deep: uint16 for sources of more than 8 bits; else always uint8.
        background: RGB, 0 to 255, behind transparent pixels.

    Returns:
        (H, W, 3), uint8 or uint16 (full range).
    """
    pixels = to_pixels(frame, reformatter, deep=deep)
    return blend(pixels, background) if pixels.shape[2] == 4 else pixels


def to_pixels(frame: VideoFrame, reformatter: VideoReformatter, *, deep: bool = False) -> Array:
    """As :func:`to_rgb`, with straight alpha as a fourth channel where the format has it.

    The matrix is the stream's own; without one, that of :func:`guessed_matrix`. Grey becomes three equal
    channels.
    """
    components = frame.format.components
    bits = max(component.bits for component in components)
    wide = deep and bits > 8
    alpha = any(component.is_alpha for component in components) or frame.format.has_palette
    kind = layout(frame.format.name).kind
    if kind == "gray" and not alpha and 8 <= bits <= 16 and (wide or frame.color_range == LIMITED):
        return _from_gray(frame, bits, wide)
    if int(frame.colorspace) == _YCGCO and kind == "yuv":
        return _from_ycgco(frame, reformatter, 65_535 if wide else 255)
    target = ("rgba64le" if wide else "rgba") if alpha else ("rgb48le" if wide else "rgb24")
    own_range = frame.color_range
    if frame.format.name != target:
        frame = reformatter.reformat(
            frame,
            format=target,
            src_colorspace=_MATRICES.get(int(frame.colorspace), guessed_matrix(frame.width, frame.height)),
            src_color_range=own_range or UNSPECIFIED,
            dst_color_range=FULL,
            interpolation=_flags(),
            threads=1,
        )
    rgb = frame.to_ndarray()
    if wide and kind == "yuv":
        white = 65_536 - (1 << 16 - bits) if own_range == FULL else _SWS_WHITE
        rgb[..., :3] = _rescaled(white, 65_535)[rgb[..., :3]]
    return rgb


@cache
def _rescaled(white: int, to: int) -> Array:
    """A table of 16 bits that brings ``white`` to ``to``, and black to black."""
    values = np.arange(65_536, dtype=np.uint64)
    return np.minimum((values * to + white // 2) // white, 65_535).astype(np.uint16)


def _from_gray(frame: VideoFrame, bits: int, wide: bool) -> Array:
    """Grey by arithmetic: libswscale takes it for full range whatever the stream says."""
    step = 1 << (bits - 8)
    black, white = (16 * step, 235 * step) if frame.color_range == LIMITED else (0, (1 << bits) - 1)
    limit = 65_535 if wide else 255
    values = np.clip(_plane(frame, bits).astype(np.int64) - black, 0, white - black)
    grey = ((values * limit + (white - black) // 2) // (white - black)).astype(
        np.uint16 if wide else np.uint8
    )
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))


def _from_ycgco(frame: VideoFrame, reformatter: VideoReformatter, limit: int) -> Array:
    """RGB of luma, green and orange differences by arithmetic (ITU-T H.273, equations 58 to 61); no alpha."""
    # The same range on both sides, so that codes only get more bits.
    own_range = FULL if frame.color_range == FULL else LIMITED
    planes = reformatter.reformat(
        frame,
        format="yuv444p16le",
        src_colorspace=BT709,
        dst_colorspace=BT709,
        src_color_range=own_range,
        dst_color_range=own_range,
        interpolation=_flags(),
        threads=1,
    ).to_ndarray()
    y, green, orange = (planes[..., place].astype(np.float64) for place in range(3))
    if own_range == FULL:
        y, green, orange = y / 65_535, (green - 32_768) / 65_535, (orange - 32_768) / 65_535
    else:
        y, green, orange = (y / 256 - 16) / 219, (green / 256 - 128) / 224, (orange / 256 - 128) / 224
    rest = y - green
    rgb = np.stack([rest + orange, y + green, rest - orange], axis=-1)
    whole: Array = np.rint(rgb.clip(0, 1) * limit).astype(np.uint8 if limit == 255 else np.uint16)
    return whole


def _plane(frame: VideoFrame, bits: int) -> Array:
    """The first plane's samples as whole numbers, (H, W)."""
    plane = frame.planes[0]
    order = ">" if frame.format.is_big_endian else "<"
    samples: Array = np.frombuffer(memoryview(plane), f"{order}u2" if bits > 8 else "u1")
    return samples.reshape(plane.height, -1)[:, : frame.width]


#: Rows that are blended at a time: eight times their bytes are needed for it.
_STRIP = 64


def blend(rgba: Array, background: tuple[int, int, int]) -> Array:
    """Lays a picture with straight alpha over one colour, rounding to nearest.

    Args:
        rgba: (H, W, 4), uint8 or uint16.
        background: RGB, 0 to 255.

    Returns:
        (H, W, 3) of the same type.
    """
    limit = int(np.iinfo(rgba.dtype).max)
    behind = np.array(background, np.uint64) * (limit // 255)
    whole = np.empty((*rgba.shape[:2], 3), rgba.dtype)
    for top in range(0, len(rgba), _STRIP):
        part = rgba[top : top + _STRIP]
        alpha = part[:, :, 3:].astype(np.uint64)
        mixed = part[:, :, :3] * alpha + behind * (limit - alpha)
        whole[top : top + _STRIP] = (mixed + limit // 2) // limit
    return whole


class FrameMaker:
    """Makes frames to encode from RGB pictures of one clip.

    YUV gets limited range (``yuvj...`` full), chroma beside the left pixel of a pair, as H.264 and H.265 have
    it unless told else; grey gets full range.

    Args:
        pixel_format: FFmpeg's name, such as ``yuv420p``.
        matrix: AVColorSpace of YUV.
    """

    def __init__(self, pixel_format: str, matrix: int = BT709) -> None:
        from av.video.reformatter import VideoReformatter

        self._format, self._matrix = pixel_format, matrix
        self._layout = layout(pixel_format)
        self._is_gray = pixel_format.startswith("gray") and "f" not in pixel_format
        self._tagger = Tagger("left") if is_subsampled(pixel_format) else None
        self._reformatter = VideoReformatter()

    def make(self, image: Array) -> VideoFrame:
        """Makes a frame of an (H, W, 3) picture, uint8 or uint16."""
        from av import VideoFrame

        if self._is_gray:
            return self._gray(image)
        wide = image.dtype != np.uint8
        if wide and self._layout.kind != "rgb":
            image = _rescaled(65_535, _SWS_WHITE)[image]
        name = "rgb48le" if wide else "rgb24"
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=name)
        if self._format == name:
            return frame
        if self._tagger is not None:
            frame = self._tagger.mark(frame)
        if self._format.startswith("yuvj"):
            return self._full_range(self._reformatted(frame, self._format.replace("yuvj", "yuv") + "16le"))
        return self._reformatted(frame, self._format)

    def _reformatted(self, frame: VideoFrame, pixel_format: str) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            format=pixel_format,
            dst_colorspace=_MATRICES[self._matrix],
            src_color_range=FULL,
            dst_color_range=layout(pixel_format).range,
            interpolation=_flags(),
            threads=1,
        )

    def _full_range(self, limited: VideoFrame) -> VideoFrame:
        """8 bits of full range by arithmetic: libswscale's own rounds chroma down, more each generation."""
        from av import VideoFrame

        frame = VideoFrame(limited.width, limited.height, self._format)
        for number, (source, target) in enumerate(zip(limited.planes, frame.planes, strict=True)):
            values = np.frombuffer(memoryview(source), "<u2").reshape(source.height, -1)[:, : target.width]
            fill_plane(target, _full_codes(chroma=number > 0)[values])
        frame.color_range, frame.colorspace = FULL, self._matrix
        return frame

    def _gray(self, image: Array) -> VideoFrame:
        """Luma of BT.709 by arithmetic: libswscale has BT.601's for grey."""
        from av import VideoFrame

        frame = VideoFrame(image.shape[1], image.shape[0], self._format)
        bits = frame.format.components[0].bits
        given, limit = int(np.iinfo(image.dtype).max), (1 << bits) - 1
        luma = (image.astype(np.uint64) @ _LUMA * limit + 5000 * given) // (10_000 * given)
        order = ">" if frame.format.is_big_endian else "<"
        fill_plane(frame.planes[0], luma.astype("u1" if bits <= 8 else f"{order}u2"))
        frame.color_range = FULL
        return frame


def fill_plane(plane: Any, values: Array) -> None:
    """Puts samples, (H, W) of the plane's own type, into a plane, whose rows may be longer."""
    rows = np.zeros((plane.height, plane.line_size // values.dtype.itemsize), values.dtype)
    rows[:, : values.shape[1]] = values
    plane.update(rows.tobytes())


@cache
def _full_codes(chroma: bool) -> Array:
    """A table from 16 bits of limited range to 8 of full range (H.273, equations 20 to 25)."""
    values = np.arange(65_536) / 256
    full = (values - 128) * 255 / 224 + 128 if chroma else (values - 16) * 255 / 219
    return np.clip(np.rint(full), 0, 255).astype(np.uint8)
