"""DeepCache (arXiv 2312.00858): a UNet's deep blocks run at every n-th step and are reused in between.

What enters the last up block changes little from step to step. At the steps between only the shallow blocks
run: the first down block, whose maps the last up block is given, and that one. Nothing is trained.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError

if TYPE_CHECKING:
    import torch

#: Classes of diffusers whose blocks give what `DeepCache` takes them to.
TAKES_DEEP_CACHE = frozenset(
    {
        "UNet2DConditionModel",
        "UNet2DModel",
        "UNet3DConditionModel",
        "UNetMotionModel",
        "UNetSpatioTemporalConditionModel",
    }
)
#: How a model's declaration says it.
PREFIX = "deepcache:"


def interval_of(line: str | None) -> int:
    """Steps from one with all blocks to the next; 0 where a line says nothing of it."""
    return int(line.removeprefix(PREFIX)) if line is not None and line.startswith(PREFIX) else 0


class DeepCache:
    """What the deep blocks gave at the last whole step, for each pass of a step by itself.

    A step has several passes where guidance takes two, or a clip has windows: those come in the same order at
    each step, so that a pass finds its own.

    Args:
        interval: steps from one whole step to the next; 1 makes all of them whole.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._step, self._turn = -1, 0
        self._time: float | None = None
        self._whole = True
        self._shapes: dict[int, Any] = {}
        self._given: dict[tuple[int, int], Any] = {}

    def around(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """A network's call that knows which pass of which step it is."""

        @functools.wraps(forward)
        def called(*args: Any, **kwargs: Any) -> Any:
            sample = args[0] if args else kwargs["sample"]
            self._begin(args[1] if len(args) > 1 else kwargs["timestep"], sample.shape)
            return forward(*args, **kwargs)

        return called

    def _begin(self, timestep: Any, shape: Any) -> None:
        time = float(timestep.flatten()[0] if hasattr(timestep, "flatten") else timestep)
        if time == self._time:
            self._turn += 1
        else:
            self._step, self._turn, self._time = self._step + 1, 0, time
            if self._step % self._interval == 0:
                self._shapes, self._given = {}, {}
        self._whole = self._shapes.get(self._turn) != shape
        self._shapes[self._turn] = shape

    def around_block(self, index: int, forward: Callable[..., Any], keeps: bool) -> Callable[..., Any]:
        """A block's call that is left out in between.

        Args:
            index: tells the block from others.
            forward: its call.
            keeps: what it gives is used again; of other blocks only the shapes are, which nothing reads on.
        """

        @functools.wraps(forward)
        def called(*args: Any, **kwargs: Any) -> Any:
            place = self._turn, index
            if self._whole:
                made = forward(*args, **kwargs)
                self._given[place] = made if keeps else _outline(made)
                return made
            return self._given[place] if keeps else _blank(self._given[place])

        return called


def put_deep_cache(net: Any, interval: int) -> None:
    """Have a UNet reuse what its deep blocks gave.

    Args:
        net: whose modules, not weights, belong to this call alone.
        interval: as of `DeepCache`.

    Raises:
        RequestError: it has no deep blocks.
    """
    blocks = list(_deep_blocks(net))
    if not blocks:
        raise RequestError(
            f"step_cache: a {type(net).__name__} with down and up blocks is expected, this has none"
        )
    state = DeepCache(interval)
    for index, block in enumerate(blocks):
        block.forward = state.around_block(index, block.forward, keeps=block is net.up_blocks[-2])
    net.forward = state.around(net.forward)


def _deep_blocks(net: Any) -> Iterator[Any]:
    """All but those at the full size."""
    if len(getattr(net, "up_blocks", ())) > 1:
        yield from net.down_blocks[1:]
        if net.mid_block is not None:
            yield net.mid_block
        yield from net.up_blocks[:-1]


def _outline(made: Any) -> Any:
    """What a block gave without its numbers: maps, and for a down block those of the layers inside."""
    if isinstance(made, tuple):
        return tuple(_outline(item) for item in made)
    return made.new_zeros(1).expand(made.shape)


def _blank(outline: Any) -> Any:
    """The same anew; maps that are handed on may be added to in place."""
    if isinstance(outline, tuple):
        return _blank(outline[0]), outline[1]
    blank: torch.Tensor = outline.clone()
    return blank
