"""Pictures along time: frames, masks and optical flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.canonical import Json
from flowsynth.core.codec import register_value
from flowsynth.values.clip import Clip, Rate

if TYPE_CHECKING:
    import torch


@register_value
@dataclass(frozen=True, slots=True)
class Frames(Clip):
    """Frames of a clip, a picture (``T == 1``), or a control map.

    Attributes:
        data: T, C, H, W; uint8 in [0, 255], or float32 or float16 in [0, 1]; C is 1, 3 or 4.
        fps: frames a second; None for pictures.
        kind: what the frames show: ``rgb``, or the name of the annotator that made them (``canny``, ...).
        colour: primaries and transfer function where they are not BT.709's: ``bt2020/smpte2084``.
    """

    codec_name: ClassVar[str] = "frames"
    dtypes: ClassVar[tuple[str, ...]] = ("uint8", "float32", "float16")
    unit: ClassVar[bool] = True

    kind: str = "rgb"
    colour: str = ""

    if TYPE_CHECKING:

        def __init__(
            self,
            data: torch.Tensor | tuple[torch.Tensor, ...],
            fps: Rate = None,
            kind: str = "rgb",
            colour: str = "",
        ) -> None: ...

    def meta(self) -> dict[str, Json]:
        """As every clip's; usual colours are left out, as before there were others."""
        meta = Clip.meta(self)
        if not self.colour:
            del meta["colour"]
        return meta

    @property
    def height(self) -> int:
        """Rows of a frame, in pixels."""
        return self.frame_shape[1]

    @property
    def width(self) -> int:
        """Columns of a frame, in pixels."""
        return self.frame_shape[2]

    def to_float(self) -> torch.Tensor:
        """All frames as float32 in [0, 1]."""
        return as_float(self.tensor)

    def like(self, data: torch.Tensor) -> Frames:
        """Frames from float32 in [0, 1], stored in this clip's dtype (rounded when that is uint8)."""
        return self.with_data(as_dtype(data, str(self.parts[0].dtype).removeprefix("torch.")))

    def _repr_png_(self) -> bytes | None:
        """As notebooks show it: a picture, or a strip of eight."""
        from flowsynth.values.shown import clip_png

        return clip_png(self)


def as_float(data: torch.Tensor) -> torch.Tensor:
    """Frames of any dtype as float32 in [0, 1]."""
    import torch

    return data.to(torch.float32).div_(255) if data.dtype == torch.uint8 else data.to(torch.float32)


def as_rgb(data: torch.Tensor) -> torch.Tensor:
    """Bring `(T, 1, 3 or 4, H, W)` to three channels: grey is repeated (a view), alpha dropped."""
    return data.expand(-1, 3, -1, -1) if data.shape[1] == 1 else data[:, :3]


def as_dtype(data: torch.Tensor, dtype: str) -> torch.Tensor:
    """Float frames in [0, 1] as ``uint8`` (rounded), ``float32`` or ``float16``; clamped to the range.

    Raises:
        ValueError: the data holds a NaN, which no picture can show.
    """
    looked = NanCheck()
    made = looked.as_dtype(data, dtype)
    looked.end()
    return made


class NanCheck:
    """`as_dtype` for many pictures one after the other: the device is waited for once, at the end."""

    def __init__(self) -> None:
        self._found: list[torch.Tensor] = []

    def as_dtype(self, data: torch.Tensor, dtype: str) -> torch.Tensor:
        """As the function of this name, but for the check, which waits for `end`."""
        import torch

        self._found.append(torch.isnan(data).any())
        data = data.clamp(0, 1)
        return data.mul(255).round_().to(torch.uint8) if dtype == "uint8" else data.to(getattr(torch, dtype))

    def end(self) -> None:
        """Raise if a picture held a NaN.

        Raises:
            ValueError: one did.
        """
        import torch

        if self._found and torch.stack(self._found).any():
            raise ValueError("frames hold NaN")


@register_value
@dataclass(frozen=True, slots=True)
class Mask(Clip):
    """Where something holds: T, 1, H, W, uint8 or float32 in [0, 1]."""

    codec_name: ClassVar[str] = "mask"
    dtypes: ClassVar[tuple[str, ...]] = ("uint8", "float32")
    unit: ClassVar[bool] = True

    def _repr_png_(self) -> bytes | None:
        """As notebooks show it: a picture, or a strip of eight."""
        from flowsynth.values.shown import clip_png

        return clip_png(self)


@register_value
@dataclass(frozen=True, slots=True)
class Flow(Clip):
    """Optical flow: T, 2, H, W, float32, (dx, dy) in pixels from a frame to the next."""

    codec_name: ClassVar[str] = "flow"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16")
