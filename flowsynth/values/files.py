"""Values that are encoded files already: a video, a set of pictures, a sound track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.canonical import Json, json_copy
from flowsynth.core.codec import Buffer, Encoded, register_value
from flowsynth.values.tensors import from_buffer, to_buffer

if TYPE_CHECKING:
    import torch


def _readonly(data: bytes | memoryview) -> memoryview:
    """Bytes as a flat view through which nobody can change them."""
    return memoryview(data).cast("B").toreadonly()


@register_value
@dataclass(frozen=True, slots=True)
class Video:
    """An encoded file, or one segment of it.

    Attributes:
        data: the file's bytes; a view on the cache's file when it comes from there.
        suffix: the file's extension with its dot, such as ``.mp4``.
        info: what is inside: ``width``, ``height``, ``fps`` (as text), ``num_frames``, ``codec``.
    """

    codec_name: ClassVar[str] = "video"
    codec_version: ClassVar[int] = 1

    data: bytes | memoryview
    suffix: str = ".mp4"
    info: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        object.__setattr__(self, "data", _readonly(self.data))
        object.__setattr__(self, "info", json_copy(dict(self.info)))

    def encode(self) -> Encoded:
        """The file as JSON and bytes."""
        view = memoryview(self.data).cast("B")
        meta: dict[str, Json] = {"suffix": self.suffix, "info": dict(self.info)}
        return Encoded(meta, {"file": Buffer("U8", (view.nbytes,), view)})

    @classmethod
    def decode(cls, encoded: Encoded) -> Video:
        """The file back, still mapped."""
        info = encoded.meta["info"]
        data = encoded.tensors["file"].data
        return cls(data, str(encoded.meta["suffix"]), info if isinstance(info, dict) else {})


@register_value
@dataclass(frozen=True, slots=True)
class FileSet:
    """Several encoded files, such as the pictures of a clip: relative name -> bytes."""

    codec_name: ClassVar[str] = "file_set"
    codec_version: ClassVar[int] = 2

    files: Mapping[str, bytes | memoryview]

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        files = {name: _readonly(data) for name, data in sorted(self.files.items())}
        object.__setattr__(self, "files", files)

    def encode(self) -> Encoded:
        """The files as JSON and bytes; names may hold what the names of tensors may not."""
        names: list[Json] = [*sorted(self.files)]
        views = [memoryview(self.files[name]).cast("B") for name in sorted(self.files)]
        buffers = {f"{i:06d}": Buffer("U8", (view.nbytes,), view) for i, view in enumerate(views)}
        return Encoded({"names": names}, buffers)

    @classmethod
    def decode(cls, encoded: Encoded) -> FileSet:
        """The files back, still mapped."""
        names = encoded.meta["names"]
        found = enumerate(names if isinstance(names, list) else [])
        return cls({str(name): encoded.tensors[f"{i:06d}"].data for i, name in found})


@register_value
@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: samples (channels, samples) float32 in [-1, 1] at a sample rate in Hz; 1 to 8 channels."""

    codec_name: ClassVar[str] = "audio"
    codec_version: ClassVar[int] = 1

    samples: torch.Tensor
    sample_rate: int

    def __post_init__(self) -> None:
        """Check rank, dtype, channels and rate."""
        shape = tuple(self.samples.shape)
        if len(shape) != 2 or not 1 <= shape[0] <= 8:
            raise ValueError(f"Audio is channels (1 to 8), samples; given shape {shape}")
        if str(self.samples.dtype) != "torch.float32":
            raise TypeError(f"Audio holds float32; given {self.samples.dtype}")
        if self.sample_rate < 1:
            raise ValueError(f"Audio has a rate above 0; given {self.sample_rate}")

    def encode(self) -> Encoded:
        """The sound as JSON and bytes."""
        return Encoded({"sample_rate": self.sample_rate}, {"samples": to_buffer(self.samples)})

    @classmethod
    def decode(cls, encoded: Encoded) -> Audio:
        """The sound back from its bytes."""
        rate = encoded.meta["sample_rate"]
        return cls(from_buffer(encoded.tensors["samples"]), int(str(rate)))
