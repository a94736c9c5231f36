"""Janus: what its models are, can do, and are identified by."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import Fault, FlowsynthError
from flowsynth.models.families.janus.spec import JanusOptions, JanusSpec
from flowsynth.models.locate import locate
from flowsynth.models.protocol import Family, PartStore, Verb
from flowsynth.models.requests import Asked, GenerateSettings
from flowsynth.models.spec import ITEM_BYTES
from flowsynth.models.weights import tensor_bytes

if TYPE_CHECKING:
    from flowsynth.models.families.janus.model import JanusModel


class Janus(Family[JanusSpec]):
    """Family ``janus``."""

    name: ClassVar[str] = "janus"
    spec_type: ClassVar[type[JanusSpec]] = JanusSpec
    verbs: ClassVar[Mapping[str, Verb]] = {"generate": Verb(options=JanusOptions)}

    def fingerprint(self, spec: JanusSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """All files, the dtype, and the library whose code the model is."""
        del parts
        return digest_json([self.name, spec.identity(memo), spec.dtype, version("transformers")])

    def open(self, spec: JanusSpec, store: PartStore) -> JanusModel:
        """The model; its network is loaded when it is first used."""
        from flowsynth.models.families.janus.model import JanusModel

        return JanusModel(spec, store)

    def check_spec(self, spec: JanusSpec) -> list[Fault]:
        """A folder that is here and holds no such model."""
        try:
            locate(spec.source, offline=True)
        except FlowsynthError:
            return []  # not here (yet)
        try:
            spec.weights()
        except FlowsynthError as error:
            return [Fault("source", str(error))]
        return []

    def check(self, spec: JanusSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """Words that are missing, a class or a picture that it has no use for."""
        del spec
        if not isinstance(asked, GenerateSettings):
            return []
        found = []
        if not asked.prompt.strip():
            found.append(Fault("params.prompt", "missing", "what to show", repr(asked.prompt)))
        if asked.class_label is not None:
            found.append(Fault("params.class_label", "janus has no classes", "none", str(asked.class_label)))
        if inputs.get("image"):
            found.append(Fault("inputs.image", "janus has no use for a picture", "no edge"))
        return found

    def weight_bytes(self, spec: JanusSpec, parts: tuple[str, ...]) -> int | None:
        """Bytes of its weights.

        Raises:
            InputError: files are missing.
        """
        del parts
        return sum(tensor_bytes(path, ITEM_BYTES[spec.dtype]) for path in spec.weights())


FAMILY = Janus
