"""Sound along time, in blocks of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.codec import Encoded, register_value
from flowsynth.core.streams import StreamInfo
from flowsynth.values.clip import cut, fraction_text
from flowsynth.values.tensors import from_buffer, to_buffer

if TYPE_CHECKING:
    import torch

#: Samples that count as one frame of a stream of sound: a third of a second at 48 kHz.
BLOCK = 16_384
MOST_CHANNELS = 8


def sound_info(samples: int, rate: int) -> StreamInfo:
    """What is known of a sound before any of it is made."""
    return StreamInfo(-(-samples // BLOCK), Fraction(rate, BLOCK), samples)


def sound_rate(info: StreamInfo) -> int:
    """Samples a second of a stream of sound."""
    return int((info.fps or 0) * BLOCK)


@register_value
@dataclass(frozen=True, slots=True)
class Audio:
    """Sound at a sample rate, in full scale from -1 to 1, which floats may pass.

    As a stream its frames are blocks of `BLOCK` samples, the last one shorter.

    Attributes:
        data: float32 (samples, channels) with 1 to 8 channels, or parts of that along the first axis (mapped
            chunks of a stream).
        sample_rate: Hz.
    """

    codec_name: ClassVar[str] = "audio"
    codec_version: ClassVar[int] = 2

    data: torch.Tensor | tuple[torch.Tensor, ...]
    sample_rate: int

    def __post_init__(self) -> None:
        """Check rank, dtype, channels and rate."""
        for part in self.parts:
            shape = tuple(part.shape)
            if len(shape) != 2 or not 1 <= shape[1] <= MOST_CHANNELS or shape[1] != self.channels:
                raise ValueError(f"Audio is samples, channels (1 to {MOST_CHANNELS}); given shape {shape}")
            if str(part.dtype) != "torch.float32":
                raise TypeError(f"Audio holds float32; given {part.dtype}")
        if self.sample_rate < 1:
            raise ValueError(f"Audio has a rate above 0; given {self.sample_rate}")

    @property
    def parts(self) -> tuple[torch.Tensor, ...]:
        """The tensor's parts along time, in order."""
        return self.data if isinstance(self.data, tuple) else (self.data,)

    @property
    def channels(self) -> int:
        """How many channels."""
        return int(self.parts[0].shape[-1])

    @property
    def num_samples(self) -> int:
        """Samples of a channel."""
        return sum(part.shape[0] for part in self.parts)

    @property
    def num_frames(self) -> int:
        """Blocks in all."""
        return -(-self.num_samples // BLOCK)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape of a full block."""
        return BLOCK, self.channels

    @property
    def ragged(self) -> bool:
        """Whether its last block is not full, which is so at the end of a sound only."""
        return self.num_samples % BLOCK != 0

    @property
    def tensor(self) -> torch.Tensor:
        """All samples as one tensor, (samples, channels); copied when there are several parts."""
        import torch

        return self.parts[0] if len(self.parts) == 1 else torch.cat(self.parts)

    @property
    def samples(self) -> torch.Tensor:
        """All samples by channel, (channels, samples)."""
        return self.tensor.T.contiguous()

    def runs(self, size: int) -> Iterator[torch.Tensor]:
        """All samples in order, `size` at a time whatever the parts, the last run shorter."""
        import torch

        held: list[torch.Tensor] = []
        count = 0
        for part in self.parts:
            begin = 0
            while begin < part.shape[0]:
                piece = part[begin : begin + size - count]
                held.append(piece)
                begin, count = begin + piece.shape[0], count + piece.shape[0]
                if count == size:
                    yield torch.cat(held)
                    held, count = [], 0
        if held:
            yield torch.cat(held)

    def cut(self, first: int, last: int) -> Audio:
        """Samples ``first`` to ``last`` (exclusive), not copied."""
        return self._with(cut(self.parts, first, last))

    def slice(self, start: int, stop: int) -> Audio:
        """Blocks ``start`` to ``stop`` (exclusive), not copied."""
        return self.cut(start * BLOCK, stop * BLOCK)

    @classmethod
    def concat(cls, parts: Sequence[Audio]) -> Audio:
        """Sounds one after another, not copied.

        Raises:
            ValueError: they differ in rate or channels.
        """
        kinds = {(part.sample_rate, part.channels) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"Audio: cannot join sounds that differ in rate or channels: {sorted(kinds)}")
        return parts[0]._with(tuple(tensor for part in parts for tensor in part.parts))

    def to(self, device: str) -> Audio:
        """The same sound on a device."""
        if all(str(part.device) == device for part in self.parts):
            return self
        return self._with(tuple(part.to(device) for part in self.parts))

    def _with(self, parts: tuple[torch.Tensor, ...]) -> Audio:
        return replace(self, data=parts[0] if len(parts) == 1 else parts)

    def encode(self) -> Encoded:
        """The sound as JSON and bytes: whole blocks, the last filled up, and how much of each counts."""
        import torch

        samples, blocks = self.tensor.contiguous(), self.num_frames
        missing = blocks * BLOCK - samples.shape[0]
        if missing:
            samples = torch.cat([samples, samples.new_zeros(missing, self.channels)])
        counts = torch.full((blocks, 1), BLOCK, dtype=torch.int32)
        counts[blocks - 1 :] -= missing
        tensors = {
            "counts": to_buffer(counts),
            "samples": to_buffer(samples.reshape(blocks, BLOCK, self.channels)),
        }
        return Encoded({"fps": fraction_text(Fraction(self.sample_rate, BLOCK))}, tensors)

    @classmethod
    def decode(cls, encoded: Encoded) -> Audio:
        """The sound back from its bytes, still mapped."""
        counts, blocks = from_buffer(encoded.tensors["counts"]), from_buffer(encoded.tensors["samples"])
        count = int(counts.sum())
        full = counts[:-1].numel() * BLOCK
        if blocks.ndim != 3 or not full <= count <= blocks.shape[0] * BLOCK or blocks.shape[1] != BLOCK:
            raise ValueError(f"expected blocks of {BLOCK} samples, all but the last full")
        rate = Fraction(str(encoded.meta["fps"])) * BLOCK
        return cls(blocks.reshape(-1, blocks.shape[2])[:count], int(rate))
