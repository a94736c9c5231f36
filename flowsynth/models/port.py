"""The value that an operator's model port gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flowsynth.models.manager import ModelManager
from flowsynth.models.spec import ModelSpec

if TYPE_CHECKING:
    from flowsynth.core.context import RunContext


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

    @property
    def family(self) -> str:
        """Name of its family."""
        return self.spec.family

    def load(self, ctx: RunContext) -> Any:
        """The loaded model, from the manager of the node's device (or one of its own in a plain call).

        Raises:
            InputError: files are missing, damaged or refused.
        """
        manager = ctx.models
        if manager is None:
            manager = _own_manager(ctx)
        return manager.load(self.spec)


def _own_manager(ctx: RunContext) -> ModelManager:
    """A manager for calls outside a run; kept in the context."""
    manager = ModelManager(ctx.device, cache_dir=ctx.cache_dir, offline=ctx.offline)
    ctx.models = manager
    return manager
