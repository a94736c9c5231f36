"""Passes of networks inside a long denoising, kept while it goes on.

What a network gives depends on what it is given, and on nothing else; so a pass is found again by the content
of its arguments. A run that was killed goes through its steps again with the passes that are kept, scheduler
and random numbers run as they did, and the result is that of one run, to the bit. Jobs of a sweep that differ
in what acts late share the passes before. Nothing of a pipeline or a scheduler needs to be saved or restored.
"""

from __future__ import annotations

import copy
import functools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import digest, digest_json
from flowsynth.core.codec import Encoded
from flowsynth.core.errors import RunError
from flowsynth.models.diffusion.tree import flatten, rebuild
from flowsynth.values.tensors import from_buffer, to_buffer

if TYPE_CHECKING:
    import torch

    from flowsynth.core.context import Kept

#: A pass that takes less is made again quicker than it is looked up where the result lies on a GPU.
SLOW_SECONDS = 0.05
#: Passes are written together once so much work would be lost.
EVERY_SECONDS = 2.0


@dataclass(slots=True)
class Passes:
    """The passes of one denoising.

    Attributes:
        kept: where they are kept; None keeps none.
        found: how many were taken from there.
        made: how many networks made.
    """

    kept: Kept | None
    found: int = 0
    made: int = 0
    _waiting: dict[str, Encoded] = field(default_factory=dict)
    _seconds: float = 0.0
    _wrote: bool = False

    def through(self, name: str, call: Callable[..., Any], home: str) -> Callable[..., Any]:
        """A network's call that finds the passes that are kept, and keeps those that it makes.

        Args:
            name: of the network in the model.
            call: the network, or its `forward`.
            home: module of the network's class, where the class of its output is found.
        """
        if self.kept is None:
            return call

        @functools.wraps(call, updated=())
        def passed(*args: Any, **kwargs: Any) -> Any:
            key = None if self.kept is None else self._key(name, args, kwargs)
            held = None if key is None or self.kept is None else self.kept.find(key)
            if held is not None:
                self.found += 1
                return _output(held, home, _device([*args, *kwargs.values()]))
            start = time.perf_counter()
            made = call(*args, **kwargs)
            self.made += 1
            if key is not None:
                self._keep(key, made, start)
            return made

        return passed

    def done(self) -> None:
        """Write what waits, if anything was written before: then the denoising is a long one."""
        if self._wrote:
            self._write()

    def _key(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
        """What a pass depends on; None where something of it has no content that could be compared."""
        try:
            return digest_json([name, content(list(args)), content(dict(kwargs))])
        except RunError:
            return None

    def _keep(self, key: str, made: Any, start: float) -> None:
        encoded = _encoded(made)  # waits for the device
        seconds = time.perf_counter() - start
        if encoded is None or seconds < SLOW_SECONDS:
            self.kept = None  # not worth looking at what goes in
            return
        self._waiting[key] = encoded
        self._seconds += seconds
        if self._seconds >= EVERY_SECONDS:
            self._write()

    def _write(self) -> None:
        if self.kept is not None:
            self.kept.keep(self._waiting, self._seconds)
        self._waiting, self._seconds, self._wrote = {}, 0.0, True


def once(call: Callable[..., Any]) -> Callable[..., Any]:
    """A network's call that is made once for equal arguments; each caller gets a copy of what it gave."""
    known: dict[str, Any] = {}

    @functools.wraps(call, updated=())
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            key = digest_json([content(list(args)), content(dict(kwargs))])
        except RunError:
            return call(*args, **kwargs)
        if key not in known:
            known[key] = call(*args, **kwargs)
        return copy.deepcopy(known[key])

    return called


def content(value: Any) -> Any:
    """A value as JSON that is equal only for equal values: tensors by their bytes and memory format.

    Raises:
        RunError: something has no content that could be compared.
    """
    import torch

    if value is None or isinstance(value, (bool, int, float, str)):
        return [type(value).__name__, value]
    if isinstance(value, torch.Tensor):
        shape = [list(value.shape), list(value.stride())]
        return ["tensor", str(value.dtype), shape, digest(to_buffer(value).data)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(content(item) for item in value)]
    if isinstance(value, Mapping):
        return ["mapping", *([str(key), content(item)] for key, item in sorted(value.items()))]
    raise RunError(f"a {type(value).__name__} cannot be compared")


def _encoded(made: Any) -> Encoded | None:
    """What a network gave, with the name of its class where it is a structure; None if it cannot be kept."""
    tensors: dict[str, torch.Tensor] = {}
    try:
        tree = flatten(made, tensors)
    except RunError:
        return None
    kind = type(made).__name__ if isinstance(made, Mapping) else None
    return Encoded({"part": [kind, tree]}, {name: to_buffer(tensor) for name, tensor in tensors.items()})


def _output(held: Encoded, home: str, device: Any) -> Any:
    """The same back; a structure of the class of that name in the network's module."""
    part = held.meta["part"]
    kind, tree = part if isinstance(part, list) else (None, part)
    made = rebuild(tree, {name: from_buffer(buffer).to(device) for name, buffer in held.tensors.items()})
    return made if kind is None else _structure(home, str(kind))(**made)


def _structure(home: str, name: str) -> type[Any]:
    from diffusers.utils import BaseOutput

    found = getattr(sys.modules.get(home), name, None)
    if not isinstance(found, type) or not issubclass(found, BaseOutput):
        raise RunError(f"{home} has no output {name}")
    return found


def _device(values: list[Any]) -> Any:
    import torch

    return next((value.device for value in values if isinstance(value, torch.Tensor)), "cpu")
