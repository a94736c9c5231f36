"""What operators on models share: specs for checks before a run, and refusals at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsynth.core.errors import FlowsynthError, RequestError
from flowsynth.models import Model, ModelSpec, parse_model
from flowsynth.values import Latents


def spec_of(given: Any) -> ModelSpec | None:
    """The spec that feeds a model port, or None where it has faults of its own (named elsewhere)."""
    if isinstance(given, ModelSpec) or given is None:
        return given
    if isinstance(given, Model):
        return given.spec
    if isinstance(given, Mapping):
        try:
            return parse_model("model", given)
        except FlowsynthError:
            return None
    return None


def require_space(latents: Latents, space: str, verb: str) -> None:
    """Raise unless latents are of a model's space.

    Raises:
        RequestError: they come from another family or another VAE.
    """
    if latents.space != space:
        raise RequestError(
            f"{verb}: latents of space {latents.space!r} given to a model of space {space!r};"
            " encode and decode with models of one family and VAE"
        )


def require_verb(model: Model, loaded: Any, method: str, verb: str) -> None:
    """Raise unless a model's family has a verb.

    Raises:
        RequestError: it has not.
    """
    if not hasattr(loaded, method):
        raise RequestError(f"{verb}: models of family {model.family!r} have no such verb")
