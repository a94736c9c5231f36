"""From what pydantic finds wrong with a mapping to faults that name the place and the nearest valid name."""

from __future__ import annotations

import typing
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from flowsynth.core.errors import Fault, listing, nearest


def validation_faults(path: str, model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """All faults of a mapping.

    Args:
        path: where the mapping stands in the YAML.
        model: what it was read as.
        error: what was found.
    """
    found = []
    for item in error.errors(include_url=False):
        loc = item["loc"]
        where = ".".join([path, *(str(part) for part in loc)])
        if item["type"] == "extra_forbidden":
            known = _fields_at(model, loc[:-1])
            found.append(Fault(where, "unknown key", listing(known), "", nearest(str(loc[-1]), known)))
        elif item["type"] == "missing":
            found.append(Fault(where, "missing"))
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            found.append(Fault(where, message, "", repr(item.get("input"))[:80]))
    return found


def _fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Names that are valid in the mapping at a place inside a model."""
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = None if field is None else _model_in(field.annotation)
        model = inner or model  # a key of a mapping and an index of a list lead no deeper
    return sorted(model.model_fields)


def _model_in(hint: object) -> type[BaseModel] | None:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    return next((found for arg in typing.get_args(hint) if (found := _model_in(arg))), None)
