"""Colours beyond BT.709: what a stream says of them, and how they are brought to a usual screen.

Sources: ITU-R BT.2100-2 (PQ, HLG and their display light), BT.2408-7 (203 cd/m² for white), BT.2390-11, 5.4
(the EETF), J. Hable, "Filmic Tonemapping for Real-time Rendering" (SIGGRAPH 2010).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowsynth.media.rational import ToneMap

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Array = npt.NDArray[Any]

#: Primaries and transfer functions that are carried along, by H.273's numbers; others count as BT.709's.
PRIMARIES = {9: "bt2020", 11: "smpte431", 12: "smpte432"}
TRANSFERS = {8: "linear", 16: "smpte2084", 18: "arib-std-b67"}
#: cd/m² of white in SDR, and of the brightest there is where a stream doesn't say.
WHITE, PEAK = 203.0, 1000.0
#: Chromaticities of red, green, blue (x, y), all with white at D65.
_CHROMATICITIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65 = (0.3127, 0.3290)


def colour_of(frame: VideoFrame) -> str:
    """What a stream's colours are, as ``primaries/transfer``; empty for BT.709's, and near ones."""
    primaries = PRIMARIES.get(int(frame.color_primaries), "bt709")
    transfer = TRANSFERS.get(int(frame.color_trc), "bt709")
    return "" if primaries == transfer == "bt709" else f"{primaries}/{transfer}"


def tags(colour: str) -> tuple[int, int]:
    """H.273's numbers of what :func:`colour_of` gave: primaries, transfer."""
    primaries, _, transfer = (colour or "bt709/bt709").partition("/")
    known = [{name: number for number, name in table.items()} for table in (PRIMARIES, TRANSFERS)]
    return known[0].get(primaries, 1), known[1].get(transfer, 1)


def peak_of(frame: VideoFrame) -> float:
    """The brightest pixel in cd/m² as the stream states it (MaxCLL), else :data:`PEAK`."""
    for item in frame.side_data:
        data: Any = item
        if data.type.name == "CONTENT_LIGHT_LEVEL":
            brightest = int(np.frombuffer(bytes(data), "<u4")[0])
            return float(brightest) if brightest > WHITE else PEAK
    return PEAK


def pq_to_light(code: Array) -> Array:
    """PQ's code in [0, 1] to cd/m² (BT.2100, table 4)."""
    power = np.clip(code, 0, 1) ** (1 / 78.84375)
    light: Array = 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (
        1 / 0.1593017578125
    )
    return light


def light_to_pq(light: Array) -> Array:
    """Light in cd/m² to PQ's code (BT.2100, table 4)."""
    power = (np.clip(light, 0, 10_000) / 10_000) ** 0.1593017578125
    code: Array = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return code


def hlg_to_light(code: Array, peak: float = PEAK) -> Array:
    """HLG's code, (..., 3) in [0, 1], to cd/m² on a screen of ``peak`` (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    luma = scene @ np.array((0.2627, 0.6780, 0.0593))
    gamma = 1.2 + 0.42 * np.log10(peak / 1000)
    shown: Array = peak * np.maximum(luma, 1e-9)[..., None] ** (gamma - 1) * scene
    return shown


def tone_mapped(rgb: Array, colour: str, curve: ToneMap, peak: float = PEAK) -> Array:
    """Brings a picture of more than a usual screen's range to BT.709 (BT.1886's gamma 2.4).

    The brightest of a pixel's three components goes through the curve, the others along with it, so that
    hues stay; 203 cd/m² is white where nothing is brighter.

    Args:
        rgb: (H, W, 3), uint16 over the full range.
        colour: What :func:`colour_of` gave.
        curve: ``hable`` or ``bt2390``.
        peak: Brightest light of the source, cd/m².

    Returns:
        The picture of the same shape and type.
    """
    primaries, _, transfer = colour.partition("/")
    code = rgb.astype(np.float64) / 65_535
    light = _LIGHT[transfer](code, peak)
    light = np.maximum(light @ _to_bt709(primaries).T, 0)
    brightest = light.max(axis=-1, keepdims=True)
    mapped = _CURVES[curve](brightest, peak) / WHITE
    linear = light * (mapped / np.maximum(brightest, 1e-6))
    shown: Array = np.rint(np.clip(linear, 0, 1) ** (1 / 2.4) * 65_535).astype(np.uint16)
    return shown


def _hable(light: Array, peak: float) -> Array:
    def curve(x: Array) -> Array:
        a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
        value: Array = (x * (x * a + b * c) + d * e) / (x * (x * a + b) + d * f) - e / f
        return value

    top = curve(np.asarray(peak / WHITE))
    mapped: Array = WHITE * curve(np.minimum(light, peak) / WHITE) / top
    return mapped


def _bt2390(light: Array, peak: float) -> Array:
    """The EETF of BT.2390: a line up to a knee, then a spline to white, in PQ."""
    source, target = (float(light_to_pq(np.asarray(value))) for value in (peak, WHITE))
    if source <= target:
        return light
    code, top = np.minimum(light_to_pq(light) / source, 1), target / source
    knee = 1.5 * top - 0.5
    t = np.maximum(code - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * top
    )
    return pq_to_light(np.where(code < knee, code, spline) * source)


_CURVES = {"hable": _hable, "bt2390": _bt2390}
_LIGHT: dict[str, Any] = {
    "smpte2084": lambda code, _peak: pq_to_light(code),
    "arib-std-b67": hlg_to_light,
    "linear": lambda code, _peak: code * WHITE,
    "bt709": lambda code, _peak: code**2.4 * WHITE,
}


@cache
def _to_bt709(primaries: str) -> Array:
    """The matrix from linear light of some primaries to that of BT.709."""
    own = _to_xyz(_CHROMATICITIES.get(primaries, _CHROMATICITIES["bt709"]))
    matrix: Array = np.linalg.inv(_to_xyz(_CHROMATICITIES["bt709"])) @ own
    return matrix


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> Array:
    """Linear RGB to CIE XYZ: the primaries, weighed so that they add up to white."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*chromaticities, _D65)]).T
    weights = np.linalg.solve(columns[:, :3], columns[:, 3])
    matrix: Array = columns[:, :3] * weights
    return matrix
