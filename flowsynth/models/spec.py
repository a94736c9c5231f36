"""A model as a graph declares it: family, source and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowsynth.core.errors import Fault, GraphError, listing, nearest
from flowsynth.fetch.source import Source
from flowsynth.models.family import UnknownFamilyError, family, family_names

DtypeName: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]


class ModelSpec(BaseModel):
    """What every family's spec has. Families add their own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    family: str = Field(description="name of the model family")
    source: Source = Field(description="folder, single file, hub model or pocket")
    dtype: DtypeName = Field("auto", description="auto is float16 on CUDA, else float32")


def parse_model(name: str, data: Mapping[str, Any]) -> ModelSpec:
    """The spec of an entry under ``models:``.

    Args:
        name: the entry's name, for messages.
        data: its mapping.

    Raises:
        GraphError: all faults of the entry at once, with their paths.
    """
    path = f"models.{name}"
    if "family" not in data:
        raise GraphError([Fault(f"{path}.family", "missing", listing(family_names()))])
    try:
        kind = family(str(data["family"]))
    except UnknownFamilyError as error:
        fault = Fault(
            f"{path}.family", "unknown family", listing(family_names()), repr(data["family"]), error.nearest
        )
        raise GraphError([fault]) from None
    try:
        return kind.spec_type.model_validate(dict(data))
    except ValidationError as error:
        raise GraphError([_fault(path, kind.spec_type, e) for e in error.errors(include_url=False)]) from None


def _fault(path: str, spec_type: type[ModelSpec], error: Any) -> Fault:
    where = ".".join([path, *(str(part) for part in error["loc"])])
    given = repr(error.get("input"))[:80]
    if error["type"] == "extra_forbidden":
        known = _fields_at(spec_type, error["loc"])
        return Fault(where, "unknown key", listing(known), "", nearest(str(error["loc"][-1]), known))
    if error["type"] == "missing":
        return Fault(where, "missing")
    message = str(error["msg"]).removeprefix("Value error, ")
    return Fault(where, message[:1].lower() + message[1:], "", given)


def _fields_at(spec_type: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Names that are valid where an unknown key was found."""
    if len(loc) == 1:
        return sorted(spec_type.model_fields)
    return sorted(Source.model_fields)


def model_fingerprint(spec: ModelSpec, cache_dir: Path | None = None, parts: tuple[str, ...] = ()) -> str:
    """Identity of a model: weights, configurations, tokenizer, adapters with their scales and order, dtype.

    No torch, diffusers or transformers is imported for it.

    Args:
        spec: the model.
        cache_dir: folder under which hashes of weight files are remembered.
        parts: ``text``, ``vae``, ``denoiser``: only what these depend on; everything unless given.

    Raises:
        InputError: a file or folder is missing.
    """
    memo = None if cache_dir is None else Path(cache_dir) / "file_hashes"
    return family(spec.family).fingerprint(spec, memo, parts)
