"""From an entry under ``models:`` to its spec, and to what identifies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from flowsynth.core.errors import Fault, FlowsynthError, GraphError, RequestError, listing
from flowsynth.models.faults import validation_faults
from flowsynth.models.registry import UnknownFamilyError, family, family_names
from flowsynth.models.spec import ModelSpec


def parse_model(name: str, data: Mapping[str, object]) -> ModelSpec:
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
        kind = family(str(data["family"])).spec_type
    except UnknownFamilyError as error:
        expected, given = listing(family_names()), repr(data["family"])
        fault = Fault(f"{path}.family", "unknown family", expected, given, error.nearest)
        raise GraphError([fault]) from None
    except RequestError as error:
        raise GraphError([Fault(f"{path}.family", str(error))]) from error
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        raise GraphError(validation_faults(path, kind, error)) from None


def declaration_faults(name: str, data: Mapping[str, object]) -> list[Fault]:
    """All that is wrong with an entry under ``models:``, as far as small files on this machine show it.

    Args:
        name: the entry's name.
        data: its mapping.
    """
    try:
        spec = parse_model(name, data)
        found = family(spec.family).check_spec(spec)
    except GraphError as error:
        return list(error.faults)
    except FlowsynthError as error:
        return [Fault(f"models.{name}", str(error))]
    return [replace(fault, path=f"models.{name}.{fault.path}") for fault in found]


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
