"""From the names of objects to the values that an operator gets, on the device that it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.codec import value_types
from flowsynth.core.refs import JsonRef, ObjectRef
from flowsynth.executors.inputs import whole_part
from flowsynth.executors.order import Cut, Given, Part
from flowsynth.executors.placed import HOST, Placed, transfer
from flowsynth.executors.shelf import Shelf
from flowsynth.executors.tasks import StepRun

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


class Fetcher:
    """Fetches what an order reads, and notes the objects that are gone.

    Args:
        cache: where values are if not in memory.
        shelf: the values in memory.
        device: the logical device to transfer them to; None leaves them where they are.
    """

    def __init__(self, cache: Cache, shelf: Shelf, device: str | None) -> None:
        self.cache = cache
        self.shelf = shelf
        self.device = device
        self.missing: list[str] = []

    def given(self, given: Given) -> Any:
        """What one port gets, None for parts that are gone. What is not JSON comes with its device."""
        if given.many:
            return [self.part(part) for part in given.parts]
        return self.part(given.parts[0])

    def part(self, part: Part) -> Any:
        """What one edge brings."""
        if isinstance(part, JsonRef):
            return part.value
        if isinstance(part, ObjectRef):
            found = self.shelf.get(part.hash) or self._mapped(part.type, part.hash)
            return None if found is None else self._moved(found)
        return self._frames(part)

    def _frames(self, cut: Cut) -> Placed | None:
        parts = []
        for name, start, stop in cut.pieces:
            found = self.shelf.get(name, start, stop)
            if found is None:
                found = self._mapped(cut.type, name, (start, stop))
            if found is not None:
                parts.append(self._moved(found))
        return _joined(parts) if parts and len(parts) == len(cut.pieces) else None

    def _mapped(self, codec_name: str, name: str, frames: tuple[int, int] | None = None) -> Placed | None:
        """A value out of the cache, or some frames of it."""
        stored = self.cache.get_object(name, frames)
        cls = value_types().get(codec_name)
        if (
            stored is not None
            and cls is not None
            and (stored.codec_name, stored.codec_version) == (codec_name, cls.codec_version)
        ):
            try:
                value: Any = cls.decode(stored.encoded)
                if frames is not None:
                    value = value.slice(frames[0] - stored.start, frames[1] - stored.start)
                return Placed(value, HOST)
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                self.cache.objects.set_aside(name, f"it is no {codec_name} ({error})")
        self.missing.append(name)
        return None

    def _moved(self, placed: Placed) -> Placed:
        return placed if self.device is None else transfer(placed, self.device)


def _joined(parts: Sequence[Placed]) -> Placed:
    """Parts of a stream as one."""
    if len(parts) == 1:
        return parts[0]
    device = " and ".join(sorted({part.device for part in parts}))
    return Placed(type(parts[0].value).concat([part.value for part in parts]), device)


def load_output(run: StepRun, out: str, cache: Cache, shelf: Shelf) -> Any:
    """The value of a finished step's output, from memory or mapped from the cache; None where it is gone."""
    found = Fetcher(cache, shelf, None).part(whole_part(run, out))
    return found.value if isinstance(found, Placed) else found
