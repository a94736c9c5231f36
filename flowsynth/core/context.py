"""What an operator is given besides its inputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flowsynth.core.codec import Encoded
from flowsynth.core.errors import CancelledError
from flowsynth.core.streams import Span


class Kept(Protocol):
    """Where parts of a long operator's work are kept while it goes on, for a run after a kill."""

    def find(self, name: str) -> Encoded | None:
        """The part of a name; None where it is not kept."""
        ...

    def keep(self, parts: Mapping[str, Encoded], seconds: float) -> None:
        """Keep parts by name: it says what a part depends on besides the node's code and models."""
        ...


@dataclass(slots=True)
class Portions:
    """How much an operator takes at once, once a device had no room for it.

    Attributes:
        halvings: how often memory ran out.
        divisible: the operator asked, and could take still less.
        less: it took less than the whole, so that what it gave may differ in its last bits.
    """

    halvings: int = 0
    divisible: bool = False
    less: bool = False

    def again(self, halvings: int) -> None:
        """Begin another try."""
        self.halvings, self.divisible, self.less = halvings, False, False

    def of(self, most: int, least: int = 1) -> int:
        """A part of what would be taken at once: at least `least`, unless that is `most` or above."""
        part = max(most >> self.halvings, min(least, most))
        self.divisible |= part > least
        self.less |= part < most
        return part

    def resting(self, device: Any) -> Any:
        """Where parts of a result wait for the others: on their device, or the host if memory is short."""
        self.divisible |= not self.halvings
        return "cpu" if self.halvings else device


@dataclass(slots=True)
class RunContext:
    """Where and how a node runs. `RunContext()` is enough to call any operator by hand in a test.

    Attributes:
        device: torch's name of the device to compute on, such as ``cpu`` or ``cuda:0``.
        node: name of the node, for messages.
        span: which part of the output to make; None makes all of it.
        state: what a `scan` handed on from the chunk before (None at the first); the operator sets the next.
        models: the model manager of the device, or None where a node needs no model.
        cache_dir: folder for files that may be fetched again (weights, clips).
        work_dir: folder for files that live no longer than the run.
        offline: never touch the network.
        on_progress: called with (step, total) by long operators.
        on_look: called with a latent space and what gives latents of it so far, T x C x h x w, if looked at.
        cancelled: set when the run is asked to stop.
        kept: keeps parts of the work while it goes on; None where nothing is kept.
        portions: what to take at once of what changes a result by rounding at most: tiles, frames, windows.
        notes: things worth telling the user, shown once and kept in the record.
    """

    device: str = "cpu"
    node: str = ""
    span: Span | None = None
    state: Any = None
    models: Any = None
    cache_dir: Path | None = None
    work_dir: Path | None = None
    offline: bool = False
    on_progress: Callable[[int, int], None] | None = None
    on_look: Callable[[str, Callable[[], Any]], None] | None = None
    cancelled: threading.Event | None = None
    kept: Kept | None = None
    portions: Portions = field(default_factory=Portions)
    notes: list[str] = field(default_factory=list)

    def progress(self, step: int, total: int) -> None:
        """Say how far a long operator is; also a point where it may be cancelled.

        Raises:
            CancelledError: the run was asked to stop.
        """
        self.check_cancelled()
        if self.on_progress is not None:
            self.on_progress(step, total)

    def look(self, space: str, latents: Callable[[], Any]) -> None:
        """Let whoever watches see latents that are not done; nothing is computed where nobody does."""
        if self.on_look is not None:
            self.on_look(space, latents)

    def check_cancelled(self) -> None:
        """Raise `CancelledError` if the run was asked to stop."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise CancelledError(f"{self.node or 'run'}: stopped on request")

    def note(self, text: str) -> None:
        """Tell the user something once."""
        if text not in self.notes:
            self.notes.append(text)
