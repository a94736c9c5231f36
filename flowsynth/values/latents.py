"""What a denoiser works on, and what it is conditioned by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.canonical import Json, json_copy
from flowsynth.core.codec import Encoded, register_value
from flowsynth.values.clip import Clip, Rate
from flowsynth.values.tensors import from_buffer, to_buffer

if TYPE_CHECKING:
    import torch


@register_value
@dataclass(frozen=True, slots=True)
class Latents(Clip):
    """Latents of frames, scaled as the denoiser expects them.

    Attributes:
        data: T, C, H / factor, W / factor; float32, float16 or bfloat16.
        fps: frames a second of the frames that they stand for.
        space: name of the latent space; a decoder of another space refuses them.
        height: rows of the decoded frames in pixels (0: all that the latents hold).
        width: columns of the decoded frames in pixels (0: all that the latents hold).
        empty: True where the latents only give a size and are to be replaced by noise.
        frames: frames that they stand for (0: one each).
        decoder: what else a family's decoder is to get, as JSON.
    """

    codec_name: ClassVar[str] = "latents"
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "bfloat16")

    space: str = ""
    height: int = 0
    width: int = 0
    empty: bool = False
    frames: int = 0
    decoder: Json = None

    if TYPE_CHECKING:

        def __init__(
            self,
            data: torch.Tensor | tuple[torch.Tensor, ...],
            fps: Rate = None,
            space: str = "",
            height: int = 0,
            width: int = 0,
            empty: bool = False,
            frames: int = 0,
            decoder: Json = None,
        ) -> None: ...


@register_value
@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a prompt became: named embeddings of one family.

    Attributes:
        family: the model family that made it.
        tensors: name -> embeddings, such as ``prompt`` and ``negative`` (1 or T, tokens, width).
        meta: JSON beside them, such as the frames that a travelling prompt covers.
    """

    codec_name: ClassVar[str] = "conditioning"
    codec_version: ClassVar[int] = 1

    family: str
    tensors: Mapping[str, torch.Tensor]
    meta: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        object.__setattr__(self, "tensors", dict(sorted(self.tensors.items())))
        object.__setattr__(self, "meta", json_copy(dict(self.meta)))

    def encode(self) -> Encoded:
        """The embeddings as JSON and bytes."""
        tensors = {name: to_buffer(t) for name, t in self.tensors.items()}
        return Encoded({"family": self.family, "meta": dict(self.meta)}, tensors)

    @classmethod
    def decode(cls, encoded: Encoded) -> Conditioning:
        """The embeddings back from their bytes."""
        tensors = {name: from_buffer(b) for name, b in encoded.tensors.items()}
        meta = encoded.meta["meta"]
        return cls(str(encoded.meta["family"]), tensors, meta if isinstance(meta, dict) else {})

    def to(self, device: str) -> Conditioning:
        """The same embeddings on a device."""
        return Conditioning(self.family, {k: t.to(device) for k, t in self.tensors.items()}, self.meta)
