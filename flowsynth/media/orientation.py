"""How a stored picture is turned to be shown, from what a frame carries beside its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

#: (a, b, c, d): a stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift.
Orientation = tuple[int, int, int, int]
UPRIGHT: Orientation = (1, 0, 0, 1)

_TURNS: dict[tuple[int, int], int] = {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}
#: EXIF's orientations, 1 to 8, in the same form (TIFF 6.0, tag 274).
_EXIF: tuple[Orientation, ...] = (
    (1, 0, 0, 1),
    (-1, 0, 0, 1),
    (-1, 0, 0, -1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, 1, -1, 0),
    (0, -1, -1, 0),
    (0, -1, 1, 0),
)


def frame_orientation(frame: VideoFrame) -> Orientation:
    """The turn or mirror that a decoded frame's display matrix asks for (upright without one)."""
    _admit_newer_kinds()
    for item in frame.side_data:
        # PyAV's container iterates over the items, though it calls itself a mapping.
        data: Any = item
        if data.type.name == "DISPLAYMATRIX":
            import numpy as np

            a, b, _, c, d = (
                int(np.sign(v)) if abs(v) > 1 << 15 else 0 for v in np.frombuffer(bytes(data), "<i4")[:5]
            )
            if abs(a * d - b * c) == 1 and (a == 0) != (b == 0):
                return a, b, c, d
    return UPRIGHT


def exif_orientation(value: int) -> Orientation:
    """The turn or mirror of an EXIF orientation; upright for a number that isn't one."""
    return _EXIF[value - 1] if 1 <= value <= len(_EXIF) else UPRIGHT


def rotation_of(orientation: Orientation) -> int:
    """The turn alone, degrees counter-clockwise: 0, 90, 180 or 270."""
    a, b, c, d = orientation
    mirrored = a * d - b * c < 0
    return _TURNS[(-a, b) if mirrored else (a, b)]


def _admit_newer_kinds() -> None:
    """Lets PyAV list side data of kinds that are newer than its enumeration (a camera's EXIF).

    Its container refuses the whole list at the first kind it can't name, the display matrix with it.
    """
    from av.sidedata.sidedata import Type

    kinds: Any = Type

    def unnamed(cls: Any, value: object) -> Any:
        member = object.__new__(cls)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member

    kinds._missing_ = classmethod(unnamed)
