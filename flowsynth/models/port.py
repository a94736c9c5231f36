"""The value that an operator's model port gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.errors import Fault, FlowsynthError, GraphError, RequestError
from flowsynth.core.streams import StreamKind
from flowsynth.models.manager import manager_of
from flowsynth.models.options import option_faults
from flowsynth.models.parse import parse_model
from flowsynth.models.registry import families_with, family
from flowsynth.models.requests import Asked, DenoiseSettings
from flowsynth.models.spec import ModelSpec

if TYPE_CHECKING:
    from flowsynth.core.context import RunContext
    from flowsynth.models.latent_format import LatentFormat
    from flowsynth.models.protocol import LoadedModel


@dataclass(frozen=True, slots=True)
class Model:
    """A declared model, not loaded until an operator asks for it.

    Attributes:
        spec: what the graph declares.
        name: its name under ``models:``.
    """

    is_model: ClassVar[bool] = True

    spec: ModelSpec
    name: str = "model"

    @classmethod
    def of(cls, given: object) -> Model | None:
        """The model that feeds a port before a run; None where it has faults of its own (named elsewhere)."""
        if isinstance(given, cls):
            return given
        if isinstance(given, ModelSpec):
            return cls(given)
        if isinstance(given, Mapping):
            try:
                return cls(parse_model("model", given))
            except FlowsynthError:
                return None
        return None

    @property
    def family(self) -> str:
        """Name of its family."""
        return self.spec.family

    def has(self, verb: str) -> bool:
        """Whether it has a verb."""
        return family(self.family).verb(self.spec, verb) is not None

    def stream(self, verb: str) -> StreamKind | None:
        """How one of its verbs treats time; None where that is as the operator says."""
        found = family(self.family).verb(self.spec, verb)
        return None if found is None else found.stream

    def control_frames(self, asked: DenoiseSettings) -> int | None:
        """Frames of a control, where it takes some key frames alone; None where it takes all."""
        return family(self.family).control_frames(self.spec, asked)

    def weight_bytes(self, parts: tuple[str, ...], device: str) -> int | None:
        """Bytes of the weights that a step holds on a device; None where that cannot be told at once."""
        if self.spec.source.hub:
            return None
        try:
            return family(self.family).weight_bytes(self.spec.on(device), parts)
        except FlowsynthError:
            return None

    def check(self, asked: Asked, inputs: Mapping[str, int]) -> list[Fault]:
        """What is wrong with what is asked of it, without loading anything.

        Args:
            asked: what the node's parameters say.
            inputs: port -> how many edges feed it.
        """
        kind = family(self.family)
        verb = kind.verb(self.spec, asked.verb)
        if verb is None:
            return [Fault("inputs.model", "has no such verb", _offering(asked.verb), f"family {self.family}")]
        faults = option_faults(asked.options, verb.options)
        # With bad options the rest is still looked at, so that all faults come at once.
        return [*faults, *kind.check(self.spec, replace(asked, options={}) if faults else asked, inputs)]

    def open(self, ctx: RunContext, asked: Asked, inputs: Mapping[str, int]) -> LoadedModel:
        """The loaded model, once it is known that it can do what is asked: a plain call has not looked yet.

        Raises:
            GraphError: it cannot.
            InputError: files are missing, damaged or refused.
        """
        faults = self.check(asked, inputs)
        if faults:
            raise GraphError(faults, asked.verb)
        return self.load(ctx)

    def load(self, ctx: RunContext) -> LoadedModel:
        """The loaded model, from the manager of the node's device (in a plain call, the process's own).

        Raises:
            InputError: files are missing, damaged or refused.
        """
        return manager_of(ctx).load(self.spec)

    def latent_format(self, *, offline: bool) -> LatentFormat:
        """What its latents look like, from its configuration.

        Raises:
            RequestError: its family has none.
            InputError: the configuration is missing.
        """
        found = family(self.family).latent_format(self.spec, offline=offline)
        if found is None:
            raise RequestError(f"models of family {self.family!r} have no latents")
        return found

    def broken(self, verb: str) -> RequestError:
        """The error of a family whose loaded model has not the verb that it promised."""
        return RequestError(
            f"{verb}: family {self.family!r} promises this verb, but its model has no such method"
        )


def _offering(verb: str) -> str:
    """The families that have a verb, for a message."""
    names = families_with(verb)
    return f"a model of family {' or '.join(names)}" if names else "a family with that verb"
