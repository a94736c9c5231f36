"""Pictures with a colour profile of their own, brought to sRGB.

Profiles of three curves and a matrix (cameras, screens, telephones) and of one grey curve are computed here,
at any depth; others (printers', scanners') by Little CMS in 8 bits. Source: ICC.1:2022, 9.2, 10.6 and 10.18.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[Any]

#: sRGB's linear light to CIE XYZ as profiles have it, adapted to D50 (IEC 61966-2-1, Bradford).
_SRGB_XYZ = np.array(
    (
        (0.43606567, 0.38514709, 0.14306641),
        (0.22248840, 0.71687317, 0.06060791),
        (0.01391602, 0.09707642, 0.71409607),
    )
)
#: Parameters of `para` curves by their type: g, a, b, c, d, e, f (ICC.1:2022, table 68).
_PARAMETERS = {0: "g", 1: "gab", 2: "gabc", 3: "gabcd", 4: "gabcdef"}


def profile_name(profile: bytes) -> str:
    """What a profile calls itself; empty where it says nothing that can be read."""
    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return ""


def to_srgb(pixels: Array, profile: bytes) -> Array | None:
    """Brings pixels to sRGB; None for a profile that isn't curves and a matrix.

    Args:
        pixels: (H, W, 3), uint8 or uint16 over the full range; grey as three equal channels.
        profile: The profile's bytes.

    Returns:
        New pixels, or the very same for a profile that is sRGB.
    """
    tags = _tags(profile)
    matrix = _matrix(tags)
    curves = [
        _curve(tags.get(name, b""))
        for name in (("kTRC",) * 3 if matrix is None else ("rTRC", "gTRC", "bTRC"))
    ]
    if any(curve is None for curve in curves):
        return None
    limit = int(np.iinfo(pixels.dtype).max)
    codes = np.linspace(0, 1, limit + 1)
    tables = [curve(codes) for curve in curves if curve is not None]
    to_linear = np.eye(3) if matrix is None else np.linalg.inv(_SRGB_XYZ) @ matrix
    if (
        max(np.abs(to_linear - np.eye(3)).max(), *(np.abs(t - _srgb_light(codes)).max() for t in tables))
        < 2e-3
    ):
        return pixels
    linear = np.stack([table[pixels[..., c]] for c, table in enumerate(tables)], axis=-1) @ to_linear.T
    linear = np.clip(linear, 0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    whole: Array = np.rint(shown * limit).astype(pixels.dtype)
    return whole


def by_tables(picture: Image, profile: bytes) -> Image | None:
    """An 8-bit picture in sRGB by Little CMS (relative colorimetric); None where it can't use the profile."""
    from PIL import ImageCms

    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        return ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=intent,
            outputMode="RGB",
            flags=flags,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _srgb_light(codes: Array) -> Array:
    light: Array = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    return light


def _tags(profile: bytes) -> dict[str, bytes]:
    """A profile's tagged elements; what lies outside of the data is left out."""
    if len(profile) < 132:
        return {}
    (count,) = struct.unpack_from(">I", profile, 128)
    found = {}
    for k in range(min(count, (len(profile) - 132) // 12)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * k)
        found[name.decode("latin-1")] = profile[offset : offset + size]
    # A table, where there is one, goes before curves and matrix.
    return {} if "A2B0" in found else found


def _matrix(tags: dict[str, bytes]) -> Array | None:
    columns = [tags.get(name, b"") for name in ("rXYZ", "gXYZ", "bXYZ")]
    if any(len(column) < 20 for column in columns):
        return None
    matrix: Array = np.array([struct.unpack_from(">3i", column, 8) for column in columns]).T / 65_536
    return matrix


def _curve(element: bytes) -> Any:
    """A tone curve as a function from codes in [0, 1] to light; None for one that can't be read."""
    kind = element[:4]
    if kind == b"curv" and len(element) >= 12:
        (count,) = struct.unpack_from(">I", element, 8)
        values = np.frombuffer(element[12 : 12 + 2 * count], ">u2").astype(np.float64)
        if len(values) != count:
            return None
        if count == 1:
            return lambda codes: codes ** (values[0] / 256)
        points = values / 65_535
        return (
            (lambda codes: np.interp(codes, np.linspace(0, 1, count), points))
            if count
            else (lambda codes: codes)
        )
    if kind == b"para" and len(element) >= 16:
        (number,) = struct.unpack_from(">H", element, 8)
        names = _PARAMETERS.get(number, "")
        if names and len(element) >= 12 + 4 * len(names):
            read = struct.unpack_from(f">{len(names)}i", element, 12)
            return _parametric(
                {name: value / 65_536 for name, value in zip(names, read, strict=True)}, number
            )
    return None


def _parametric(p: dict[str, float], number: int) -> Any:
    g, a, b, c = p["g"], p.get("a", 1.0), p.get("b", 0.0), p.get("c", 0.0)
    start = p.get("d", -b / a if number in (1, 2) and a else 0.0)
    above, below = (p.get("e", 0.0), p.get("f", 0.0)) if number == 4 else (c if number == 2 else 0.0,) * 2

    def curve(codes: Array) -> Array:
        line = (c if number >= 3 else 0.0) * codes + below
        light: Array = np.where(codes >= start, np.maximum(a * codes + b, 0) ** g + above, line)
        return np.clip(light, 0, 1)

    return curve
