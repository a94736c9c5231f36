"""The base of values along time: one tensor with the frames first, kept in parts that need no copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from flowsynth.core.canonical import Json, canonical_json
from flowsynth.core.codec import Encoded
from flowsynth.values.tensors import from_buffer, to_buffer

if TYPE_CHECKING:
    import torch

ClipT = TypeVar("ClipT", bound="Clip")
#: A rate as people write it: 12, 29.97, "30000/1001"; None where time means nothing.
Rate: TypeAlias = Fraction | float | str | None


def fraction_text(value: Fraction | None) -> str | None:
    """A rate as text, such as ``24000/1001``; the form in which it is stored."""
    return None if value is None else f"{value.numerator}/{value.denominator}"


def cut(parts: tuple[torch.Tensor, ...], start: int, stop: int) -> tuple[torch.Tensor, ...]:
    """What lies from ``start`` to ``stop`` (exclusive) in tensors one after another, not copied."""
    kept, offset = [], 0
    for part in parts:
        low, high = max(start - offset, 0), min(stop - offset, part.shape[0])
        if low < high:
            kept.append(part[low:high])
        offset += part.shape[0]
    return tuple(kept) or (parts[0][:0],)


def as_fraction(value: Rate) -> Fraction | None:
    """A rate from what people write: 12, "30000/1001", 29.97 (2997/100, as it is written)."""
    return None if value is None else Fraction(value).limit_denominator(100_000)


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames along the first axis of a tensor, at a rate.

    Attributes:
        data: one tensor, or the parts of it along the first axis (mapped chunks of a stream).
        fps: frames a second; None where time means nothing (a batch of pictures).
    """

    codec_name: ClassVar[str] = ""
    codec_version: ClassVar[int] = 1
    rank: ClassVar[int] = 4
    axes: ClassVar[str] = "T, C, H, W"
    dtypes: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[bool] = False
    """Whether floats lie in [0, 1]; looked at where bytes are written and read, not at every slice."""

    data: torch.Tensor | tuple[torch.Tensor, ...]
    fps: Fraction | None = None

    if TYPE_CHECKING:  # what may be written: a rate becomes a fraction below

        def __init__(self, data: torch.Tensor | tuple[torch.Tensor, ...], fps: Rate = None) -> None: ...

    def __post_init__(self) -> None:
        """Check rank and dtype of every part, and that parts agree."""
        object.__setattr__(self, "fps", as_fraction(self.fps))
        name = type(self).__name__
        shapes = {tuple(part.shape[1:]) for part in self.parts}
        for part in self.parts:
            if part.ndim != self.rank:
                raise ValueError(f"{name} is {self.axes}; given shape {tuple(part.shape)}")
            if self.dtypes and str(part.dtype).removeprefix("torch.") not in self.dtypes:
                raise TypeError(f"{name} holds {' or '.join(self.dtypes)}; given {part.dtype}")
        if len(shapes) > 1:
            raise ValueError(f"{name}: parts of different sizes {sorted(shapes)}")

    @property
    def parts(self) -> tuple[torch.Tensor, ...]:
        """The tensor's parts along time, in order."""
        return self.data if isinstance(self.data, tuple) else (self.data,)

    @property
    def tensor(self) -> torch.Tensor:
        """All frames as one tensor (copied when there are several parts)."""
        import torch

        return self.parts[0] if len(self.parts) == 1 else torch.cat(self.parts)

    @property
    def num_frames(self) -> int:
        """Frames in all."""
        return sum(part.shape[0] for part in self.parts)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame."""
        return tuple(self.parts[0].shape[1:])

    def frame(self, index: int) -> torch.Tensor:
        """One frame, without touching the others; negative indices count from the end."""
        index += self.num_frames if index < 0 else 0
        for part in self.parts:
            if 0 <= index < part.shape[0]:
                return part[index]
            index -= part.shape[0]
        raise IndexError(f"{type(self).__name__} has {self.num_frames} frames")

    def chunks(self, size: int) -> Iterator[torch.Tensor]:
        """Tensors of at most `size` frames in order; mapped parts are touched one at a time."""
        for part in self.parts:
            yield from (part[i : i + size] for i in range(0, part.shape[0], size))

    def slice(self: ClipT, start: int, stop: int) -> ClipT:
        """Frames ``start`` to ``stop`` (exclusive), not copied."""
        return self.with_data(cut(self.parts, start, stop))

    @classmethod
    def concat(cls: type[ClipT], parts: Sequence[ClipT]) -> ClipT:
        """Clips one after another, not copied.

        Raises:
            ValueError: they differ in rate, kind or frame size.
        """
        metas = {canonical_json(part.meta()) for part in parts}
        if len(metas) != 1:
            raise ValueError(f"{cls.__name__}: cannot join clips that differ: {sorted(metas)}")
        return parts[0].with_data(tuple(tensor for part in parts for tensor in part.parts))

    def with_data(self: ClipT, data: torch.Tensor | tuple[torch.Tensor, ...]) -> ClipT:
        """The same rate and kind over other frames."""
        if isinstance(data, tuple) and len(data) == 1:
            data = data[0]
        return replace(self, data=data)

    def to(self: ClipT, device: str) -> ClipT:
        """The same clip on a device."""
        if all(str(part.device) == device for part in self.parts):
            return self
        return self.with_data(tuple(part.to(device) for part in self.parts))

    def meta(self) -> dict[str, Json]:
        """Everything but the tensor, as JSON."""
        names = [f.name for f in fields(self) if f.name not in ("data", "fps")]
        return {"fps": fraction_text(self.fps)} | {name: getattr(self, name) for name in names}

    def encode(self) -> Encoded:
        """The clip as JSON and bytes."""
        self._check_range()
        return Encoded(self.meta(), {"data": to_buffer(self.tensor)})

    @classmethod
    def decode(cls: type[ClipT], encoded: Encoded) -> ClipT:
        """The clip back from its bytes, still mapped."""
        meta: Mapping[str, Any] = encoded.meta
        found = cls(from_buffer(encoded.tensors["data"]), **meta)
        found._check_range()
        return found

    def _check_range(self) -> None:
        if not self.unit:
            return
        for part in self.parts:
            if part.is_floating_point() and part.numel():
                low, high = (float(end) for end in part.aminmax())
                if not (low >= 0 and high <= 1):  # a NaN is neither
                    raise ValueError(
                        f"{type(self).__name__} of floats lie in [0, 1]; given {low:g} to {high:g}"
                    )
