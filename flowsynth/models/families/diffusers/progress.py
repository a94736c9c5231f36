"""What a node sees of a pipeline's loop: its progress, and what its denoisers made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from flowsynth.models.diffusion.passes import Passes
from flowsynth.models.families.diffusers.clips import DENOISERS
from flowsynth.models.requests import Hooks


class Bar:
    """Stands in for tqdm's bar: counts steps, and asks before each whether to go on."""

    def __init__(self, hooks: Hooks, items: Iterable[Any] | None = None, total: int | None = None) -> None:
        self._hooks, self._done = hooks, 0
        self._items = [] if items is None else list(items)
        self._total = len(self._items) if total is None else total

    def update(self, count: int = 1) -> None:
        """So many more steps are done."""
        self._done += count
        self._hooks.check()
        self._hooks.progress(self._done, self._total)

    def __iter__(self) -> Iterator[Any]:
        """The items, counted."""
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> Bar:
        """The bar itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to close."""


def watch(pipe: Any, hooks: Hooks) -> None:
    """Have a pipeline tell a node's progress."""

    def progress_bar(iterable: Iterable[Any] | None = None, total: int | None = None) -> Bar:
        hooks.check()
        return Bar(hooks, iterable, total)

    pipe.progress_bar = progress_bar


def keep_passes(pipe: Any, passes: Passes, called: str = "") -> None:
    """Have a pipeline's denoisers keep what they make while a long call goes on.

    Those that put something of a call into a network, such as attention that remembers, are left alone.

    Args:
        pipe: whose parts belong to this call alone.
        passes: of the call.
        called: what its passes depend on besides their arguments.
    """
    for name in DENOISERS:
        network = getattr(pipe, name, None)
        if network is not None and not _remembers(network):
            network.forward = passes.through(name + called, network.forward, type(network).__module__)


def _remembers(network: Any) -> bool:
    processors = getattr(network, "attn_processors", {})
    return any(type(item).__module__.startswith("diffusers.pipelines.") for item in processors.values())
