"""How large frames are, as far as a graph shows it before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

Size: TypeAlias = tuple[int, int]  # width and height, pixels

#: Nodes that are looked through for a size at most, one above the other.
_FARTHEST = 200


class Sized(Protocol):
    """An operator, asked how large its frames are."""

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """Width and height, or None where only a run shows it."""


#: What feeds a port: the operator, and what feeds that; None where no node does.
Upstream: TypeAlias = Callable[[str], tuple[Sized, "Upstream"] | None]


class Sizes:
    """The sizes of the frames at a node's ports.

    Args:
        upstream: of the node.
        look: whether headers of files may be read for it.
    """

    def __init__(self, upstream: Upstream, look: bool = False, _depth: int = 0) -> None:
        self._upstream, self.look, self._depth = upstream, look, _depth

    def __call__(self, port: str) -> Size | None:
        """Width and height of the frames at a port, of its first edge; None if only a run shows them."""
        found = self._upstream(port) if self._depth < _FARTHEST else None
        if found is None:
            return None
        operator, above = found
        try:
            return operator.frame_size(Sizes(above, self.look, self._depth + 1))
        except Exception:  # somebody else's code, or no size at all: its own node says so
            return None

    def looking(self) -> Sizes:
        """The same, with a look into files."""
        return Sizes(self._upstream, look=True, _depth=self._depth)
