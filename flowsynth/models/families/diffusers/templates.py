"""Parts of a pipeline as they are when they have just been made, to be copied for each call.

To make a network out of its configuration takes as long as some of its steps, to read a tokenizer too. A
template is made once and never used itself: a call gets a copy, and all that the call does to that one goes
with it. What cannot be copied so that nothing is shared (code that holds on to a layer) is made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowsynth.models.families.diffusers.copying import can_be_copied, network_copy, tool_copy, words_of
from flowsynth.models.families.diffusers.postponed import postponed

if TYPE_CHECKING:
    from torch import nn


class Templates:
    """Those of one model; the files that they were made of belong to its identity."""

    def __init__(self) -> None:
        self._networks: dict[str, nn.Module | None] = {}
        self._tools = threading.local()  # a vocabulary serves one call at a time

    def network(
        self, name: str, make: Callable[[], nn.Module], begin: Callable[[nn.Module], None]
    ) -> nn.Module:
        """A network without weights, that belongs to the caller.

        Args:
            name: of the part.
            make: makes one, the first time.
            begin: is given it, when anything of it is looked at that could be changed.
        """
        if name not in self._networks:
            made = make()
            self._networks[name] = made if can_be_copied(made) else None
        template = self._networks[name]
        if template is not None and any(True for _ in template.children()):
            return postponed(template, begin)
        given = make() if template is None else network_copy(template)  # some are read and never called
        begin(given)
        return given

    def tool(self, name: str, make: Callable[[], Any]) -> Any:
        """A tokenizer, scheduler or processor, that belongs to the caller.

        Args:
            name: of the part.
            make: reads it.
        """
        known: dict[str, tuple[Any, Any]] = self._tools.__dict__
        if name not in known or known[name][1] != words_of(known[name][0]):
            made = make()
            known[name] = (made, words_of(made))
        return tool_copy(known[name][0])
