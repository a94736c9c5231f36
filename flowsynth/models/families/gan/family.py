"""Generators of adversarial networks: what they are, can do, and are identified by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import JsonValue

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import Fault, FlowsynthError, listing
from flowsynth.core.filehash import file_hash
from flowsynth.core.fingerprint import code_fingerprint
from flowsynth.core.streams import Map
from flowsynth.models.families.gan.spec import GanOptions, GanSpec
from flowsynth.models.locate import locate
from flowsynth.models.protocol import Family, PartStore, Verb
from flowsynth.models.requests import Asked, GenerateSettings
from flowsynth.models.spec import ITEM_BYTES
from flowsynth.models.weights import tensor_bytes, tensor_shapes
from flowsynth.nets.registry import networks_code, plugin_code
from flowsynth.nets.roles import GENERATION, TRANSLATION

if TYPE_CHECKING:
    from flowsynth.models.families.gan.model import GanModel
    from flowsynth.nets.architecture import Architecture


class Gan(Family[GanSpec]):
    """Family ``gan``."""

    name: ClassVar[str] = "gan"
    spec_type: ClassVar[type[GanSpec]] = GanSpec
    verbs: ClassVar[Mapping[str, Verb]] = {"generate": Verb(options=GanOptions)}

    def fingerprint(self, spec: GanSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """The file's content, the dtype, and the code of the networks, of which one is chosen by the file."""
        del parts
        plugged = (label for role in (GENERATION, TRANSLATION) for label in plugin_code(role))
        code = {
            label: code_fingerprint(label) for label in (*networks_code(GENERATION, TRANSLATION), *plugged)
        }
        return digest_json([self.name, file_hash(spec.checkpoint(), memo), spec.dtype, code])

    def open(self, spec: GanSpec, store: PartStore) -> GanModel:
        """The model; its network is loaded when it is first used."""
        from flowsynth.models.families.gan.model import GanModel

        return GanModel(spec, store)

    def verb(self, spec: GanSpec, name: str) -> Verb | None:
        """Frame by frame where the network makes pictures of pictures."""
        verb = self.verbs.get(name)
        found = known_role(spec)
        return replace(verb, stream=Map()) if verb and found and found[0] == TRANSLATION.name else verb

    def check_spec(self, spec: GanSpec) -> list[Fault]:
        """A checkpoint of no known network, as far as its header shows."""
        try:
            place = locate(spec.source, offline=True)
        except FlowsynthError:
            return []  # not here (yet)
        try:
            path = spec.checkpoint()
            names = tensor_shapes(path) if path.suffix == ".safetensors" else None
        except FlowsynthError as error:
            return [Fault("source" if place.is_file() else "weight_name", str(error))]
        if names is not None and known_role(spec) is None:
            return [Fault("source", "no known generator", _layouts(), str(path))]
        return []

    def check(self, spec: GanSpec, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """A picture that is missing or has no use, a class likewise, words."""
        found, faults = known_role(spec), []
        if not isinstance(asked, GenerateSettings):
            return []
        if asked.prompt:
            faults.append(Fault("params.prompt", "this model reads no words", "''", repr(asked.prompt)))
        if found is None:
            return faults
        role, architecture = found
        if role == TRANSLATION.name and not inputs.get("image"):
            faults.append(Fault("inputs.image", f"missing: {architecture.name} makes pictures of pictures"))
        if role == GENERATION.name and inputs.get("image"):
            faults.append(Fault("inputs.image", f"{architecture.name} has no use for a picture", "no edge"))
        return [*faults, *_class_faults(spec, architecture.name, asked.class_label)]

    def weight_bytes(self, spec: GanSpec, parts: tuple[str, ...]) -> int | None:
        """Bytes of the generator.

        Raises:
            InputError: the file is missing.
        """
        del parts
        return tensor_bytes(spec.checkpoint(), ITEM_BYTES[spec.dtype])

    def describe(self, spec: GanSpec) -> dict[str, JsonValue]:
        """Which network it is, where that can be told without loading it."""
        found = known_role(spec)
        return {"network": found[1].name, "makes": found[0]} if found else {}


def known_role(spec: GanSpec) -> tuple[str, Architecture[Any]] | None:
    """The role and the architecture of a safetensors file that is here, by its names; else None."""
    from flowsynth.nets.registry import known

    try:
        path = spec.checkpoint()
        names: Any = tensor_shapes(path) if path.suffix == ".safetensors" else {}
    except FlowsynthError:
        return None
    for role in (GENERATION.name, TRANSLATION.name):
        for architecture in known().by_role[role].values():
            if architecture.fits(names):
                return role, architecture
    return None


def _layouts() -> str:
    from flowsynth.nets.registry import known

    networks = [a for role in (GENERATION, TRANSLATION) for a in known().by_role[role.name].values()]
    return listing([f"{a.name} ({a.layout})" for a in networks])


def _class_faults(spec: GanSpec, name: str, label: int | None) -> list[Fault]:
    if name != "biggan":
        wrong = label is not None
        return [Fault("params.class_label", f"{name} has no classes", "none", str(label))] if wrong else []
    count = tensor_shapes(spec.checkpoint())["embeddings.weight"][-1]
    if label is not None and label < count:
        return []
    return [Fault("params.class_label", "no such class", f"0 to {count - 1}", str(label))]


FAMILY = Gan
