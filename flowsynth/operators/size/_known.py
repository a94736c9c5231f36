"""What operators that change sizes know of them before a run."""

from __future__ import annotations

from collections.abc import Callable

from flowsynth.core.errors import Fault, RequestError, RunError
from flowsynth.core.sizes import Size, Sizes


def known_size(
    sizes: Sizes, box: Callable[[int, int], tuple[int, int]], *, fixed: bool = False
) -> Size | None:
    """Width and height of a result, where those of the port ``frames`` are known.

    Args:
        sizes: of the inputs; a file's header does not count, since it says nothing of turned frames.
        box: height and width of frames -> height and width of the result.
        fixed: whether the result is the same for all frames.
    """
    given = (1, 1) if fixed else None if sizes.look else sizes("frames")
    if given is None:
        return None
    height, width = box(given[1], given[0])
    return width, height


def refusals(sizes: Sizes, box: Callable[[int, int], object]) -> list[Fault]:
    """What a function of the height and width of the port ``frames`` refuses, where these are known."""
    given = sizes("frames")
    try:
        if given is not None:
            box(given[1], given[0])
    except (RequestError, RunError) as error:
        return [Fault("params", str(error))]
    return []
