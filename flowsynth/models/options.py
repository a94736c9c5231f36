"""A family's own options of a verb, written under ``params.options``: checked by name and type."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from flowsynth.core.errors import Fault, GraphError
from flowsynth.models.faults import validation_faults
from flowsynth.models.requests import Asked, Given


class Options(BaseModel):
    """Base of a family's options of a verb. As it is it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


OptionsT = TypeVar("OptionsT", bound=Options)


def options_of(asked: Asked, kind: type[OptionsT]) -> OptionsT:
    """The options of what is asked, as the family declares them.

    Raises:
        GraphError: unknown names and bad values, all at once.
    """
    try:
        return kind.model_validate(dict(asked.options))
    except ValidationError as error:
        raise GraphError(validation_faults("params.options", kind, error), asked.verb) from None


def option_faults(given: Given, kind: type[Options]) -> list[Fault]:
    """What is wrong with options, with paths relative to the node."""
    try:
        kind.model_validate(dict(given))
    except ValidationError as error:
        return validation_faults("params.options", kind, error)
    return []
