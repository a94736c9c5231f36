"""Following wires through what only carries them: reroutes, subgraphs, bypassed nodes, Get and Set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from flowsynth.comfyui.flow import Link
from flowsynth.core.canonical import Json
from flowsynth.core.errors import RequestError


@dataclass(frozen=True)
class Constant:
    """A value that a node of the editor holds, such as a primitive's."""

    value: Json


#: What stands behind an output: another one, a value, or nothing (a muted node, an open input).
Behind: TypeAlias = "Link | Constant | None"


@dataclass
class Wires:
    """What carriers carry: the output of one -> what stands behind it."""

    behind: dict[Link, Behind] = field(default_factory=dict)

    def source(self, link: Link) -> Behind:
        """What is at the far end of a wire.

        Raises:
            RequestError: carriers that lead in a circle.
        """
        seen = [link]
        found: Behind = link
        while isinstance(found, Link) and found in self.behind:
            found = self.behind[found]
            if found in seen:
                names = " -> ".join(f"#{each.node}" for each in seen)
                raise RequestError(f"wires lead in a circle: {names}; expected a workflow without circles")
            if isinstance(found, Link):
                seen.append(found)
        return found

    def carry(self, node: str, outputs: Mapping[int, Behind]) -> None:
        """Let a node's outputs stand for something else."""
        for slot, what in outputs.items():
            self.behind[Link(node, slot)] = what
