"""Decoded video frames to RGB arrays, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

Array = npt.NDArray[Any]

#: AVColorSpace (ITU-T H.273, table 4) to libswscale's matrices:
#: BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020 twice.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_BT601, _BT709 = 5, 1
_UNSPECIFIED, _LIMITED, _FULL = 0, 1, 2
#: Pictures of this height and more without a stated matrix are taken as BT.709, as players do.
_HD_HEIGHT = 720


def _flags() -> int:
    """Libswscale's slow and exact paths: the same bits whatever the processor's vector units."""
    from av.video.reformatter import Interpolation as Flag

    return int(Flag.BICUBIC | Flag.ACCURATE_RND | Flag.FULL_CHR_H_INT | Flag.FULL_CHR_H_INP | Flag.BITEXACT)


def to_rgb(
    frame: VideoFrame, reformatter: VideoReformatter, *, deep: bool = False, background: tuple[int, int, int]
) -> Array:
    """Converts a decoded frame of any pixel format to RGB.

    The matrix is the stream's own; without one, BT.709 from 720 lines on, else BT.601. Grey becomes
    three equal channels, and alpha is blended over ``background``.

    Args:
        frame: Decoded frame.
        reformatter: Kept by the caller over all frames of a stream.
        deep: uint16 for sources of more than 8 bits; else always uint8.
        background: RGB, 0 to 255, behind transparent pixels.

    Returns:
        (H, W, 3), uint8 or uint16 (full range).
    """
    components = frame.format.components
    wide = deep and max(component.bits for component in components) > 8
    alpha = any(component.is_alpha for component in components) or frame.format.has_palette
    target = ("rgba64le" if wide else "rgba") if alpha else ("rgb48le" if wide else "rgb24")
    if frame.format.name != target:
        frame = reformatter.reformat(
            frame,
            format=target,
            src_colorspace=_MATRICES.get(
                int(frame.colorspace), _BT709 if frame.height >= _HD_HEIGHT else _BT601
            ),
            src_color_range=frame.color_range or _UNSPECIFIED,
            dst_color_range=_FULL,
            interpolation=_flags(),
            threads=1,
        )
    rgb = frame.to_ndarray()
    return blend(rgb, background) if alpha else rgb


def blend(rgba: Array, background: tuple[int, int, int]) -> Array:
    """Lays a picture with straight alpha over one colour, rounding to nearest.

    Args:
        rgba: (H, W, 4), uint8 or uint16.
        background: RGB, 0 to 255.

    Returns:
        (H, W, 3) of the same type.
    """
    limit = int(np.iinfo(rgba.dtype).max)
    alpha = rgba[:, :, 3:].astype(np.uint64)
    behind = np.array(background, np.uint64) * (limit // 255)
    mixed = rgba[:, :, :3] * alpha + behind * (limit - alpha)
    return ((mixed + limit // 2) // limit).astype(rgba.dtype)


def from_rgb(image: Array, pixel_format: str, reformatter: VideoReformatter) -> VideoFrame:
    """Makes a frame to encode from RGB, with BT.709 and limited range where the format is YUV.

    Args:
        image: (H, W, 3), uint8 or uint16.
        pixel_format: FFmpeg's name, such as ``yuv420p``.
        reformatter: Kept by the caller over all frames of a stream.
    """
    from av import VideoFrame

    name = "rgb24" if image.dtype == np.uint8 else "rgb48le"
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=name)
    if pixel_format == name:
        return frame
    return reformatter.reformat(
        frame,
        format=pixel_format,
        dst_colorspace=_BT709,
        src_color_range=_FULL,
        dst_color_range=_LIMITED if is_yuv(pixel_format) else _FULL,
        interpolation=_flags(),
        threads=1,
    )


def is_yuv(pixel_format: str) -> bool:
    """Whether a pixel format stores luma and chroma in limited range (``yuvj...`` is full)."""
    return pixel_format.startswith(("yuv4", "yuva", "nv", "p01"))


def subsampling(pixel_format: str) -> tuple[int, int]:
    """Returns how many pixels across and down share one chroma sample: (2, 2) for 4:2:0."""
    from av import VideoFormat

    shape = VideoFormat(pixel_format, 64, 64)
    chroma = [part for part in shape.components if part.is_chroma]
    return (64 // chroma[0].width, 64 // chroma[0].height) if chroma else (1, 1)
