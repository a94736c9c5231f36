"""VideoGPT: what it is, can do, and is identified by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import Fault, FlowsynthError
from flowsynth.core.filehash import file_hash
from flowsynth.core.fingerprint import code_fingerprint
from flowsynth.models.families.videogpt.spec import VideoGptOptions, VideoGptSpec
from flowsynth.models.locate import locate
from flowsynth.models.protocol import Family, PartStore, Verb
from flowsynth.models.requests import Asked, GenerateSettings
from flowsynth.models.spec import ITEM_BYTES
from flowsynth.models.weights import tensor_bytes, tensor_shapes
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import CLIP_GENERATION

if TYPE_CHECKING:
    from flowsynth.models.families.videogpt.model import VideoGptModel

_SOS, _CODES = "attn_stack.right_shift.sos", "vqvae.codebook.embeddings"
_LAYOUT = f"{_SOS} and {_CODES}, as in bair_gpt and ucf101_uncond_gpt"
_FIRST, _CLASSES = "cond_pos_embd.emb.d_0", "norm.w.weight"


class VideoGptFamily(Family[VideoGptSpec]):
    """Family ``videogpt``."""

    name: ClassVar[str] = "videogpt"
    spec_type: ClassVar[type[VideoGptSpec]] = VideoGptSpec
    verbs: ClassVar[Mapping[str, Verb]] = {"generate": Verb(options=VideoGptOptions)}

    def fingerprint(self, spec: VideoGptSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """The file's content, what it does not tell, and the code of the network."""
        del parts
        code = [code_fingerprint(label) for label in networks_code(CLIP_GENERATION)]
        told = [spec.dtype, spec.heads, spec.strides, spec.fps]
        return digest_json([self.name, file_hash(spec.checkpoint(), memo), told, code])

    def open(self, spec: VideoGptSpec, store: PartStore) -> VideoGptModel:
        """The model; its network is loaded when it is first used."""
        from flowsynth.models.families.videogpt.model import VideoGptModel

        return VideoGptModel(spec, store)

    def check_spec(self, spec: VideoGptSpec) -> list[Fault]:
        """A checkpoint of another network, as far as its header shows."""
        try:
            place = locate(spec.source, offline=True)
        except FlowsynthError:
            return []  # not here (yet)
        try:
            path = spec.checkpoint()
            shapes = tensor_shapes(path) if path.suffix == ".safetensors" else None
        except FlowsynthError as error:
            return [Fault("source" if place.is_file() else "weight_name", str(error))]
        if shapes is not None and not {_SOS, _CODES} <= set(shapes):
            return [Fault("source", "no checkpoint of VideoGPT", _LAYOUT, str(path))]
        if shapes is not None and shapes[_SOS][0] % spec.heads:
            return [Fault("heads", f"they do not share a width of {shapes[_SOS][0]}", given=str(spec.heads))]
        return []

    def check(self, spec: VideoGptSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """First frames that are missing or have no use, a class likewise, words."""
        if not isinstance(asked, GenerateSettings):
            return []
        faults = []
        if asked.prompt:
            faults.append(Fault("params.prompt", "this model reads no words", "''", repr(asked.prompt)))
        shapes = known_shapes(spec)
        if shapes is None:
            return faults
        if _FIRST in shapes and not inputs.get("image"):
            count = shapes[_FIRST][0]
            faults.append(
                Fault("inputs.image", "missing: this model goes on from frames", f"{count} of a clip")
            )
        if _FIRST not in shapes and inputs.get("image"):
            faults.append(Fault("inputs.image", "this model begins with nothing", "no edge"))
        classes = shapes[_CLASSES][1] if _CLASSES in shapes else 0
        label = asked.class_label
        if classes and (label is None or label >= classes):
            faults.append(Fault("params.class_label", "no such class", f"0 to {classes - 1}", str(label)))
        if not classes and label is not None:
            faults.append(Fault("params.class_label", "this model has no classes", "none", str(label)))
        return faults

    def weight_bytes(self, spec: VideoGptSpec, parts: tuple[str, ...]) -> int | None:
        """Bytes of the network.

        Raises:
            InputError: the file is missing.
        """
        del parts
        return tensor_bytes(spec.checkpoint(), ITEM_BYTES[spec.dtype])

    def describe(self, spec: VideoGptSpec) -> dict[str, JsonValue]:
        """What it makes, where that can be told without loading it."""
        shapes = known_shapes(spec)
        if shapes is None:
            return {}
        codes = [shapes[f"attn_stack.pos_embd.emb.d_{k}"][0] for k in range(3)]
        found: dict[str, JsonValue] = {"network": "videogpt", "makes": "clips", "codes": math.prod(codes)}
        if _FIRST in shapes:
            found["goes_on_from_frames"] = shapes[_FIRST][0]
        if _CLASSES in shapes:
            found["classes"] = shapes[_CLASSES][1]
        return found


def known_shapes(spec: VideoGptSpec) -> dict[str, tuple[int, ...]] | None:
    """Shapes of a safetensors file that is here; else None."""
    try:
        path = spec.checkpoint()
        return tensor_shapes(path) if path.suffix == ".safetensors" else None
    except FlowsynthError:
        return None


FAMILY = VideoGptFamily
