"""Arrays out of a pickle of nothing but dictionaries of numpy arrays, without unpickling.

A pickle is a program for a stack machine. This reads the few instructions that such a file is made of, and
makes of the three names that they may call plain marks of its own: no name is looked up, nothing is called,
and any other instruction or name refuses the file.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.weights.errors import WeightsError

_RECONSTRUCT, _NDARRAY, _DTYPE = (
    ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"),
    ("numpy ndarray",),
    ("numpy dtype",),
)
_NAMES = (*_RECONSTRUCT, *_NDARRAY, *_DTYPE)
_PUSHED = frozenset(
    ["BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BININT", "BININT1", "BININT2"]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()
_NUMBERS = re.compile(r"[fiu][1248]")


class _Made:
    """What a call would have made: a type of numbers, or an array; `state` is what it was built with."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments = name, arguments
        self.state: tuple[Any, ...] = ()

    def array(self) -> npt.NDArray[Any]:
        """The array, from (version, shape, type, Fortran order, bytes)."""
        _, shape, kind, fortran, data = self.state
        code, order = kind.arguments[0], kind.state[1]
        if not _NUMBERS.fullmatch(code) or order not in ("<", ">", "|", "="):
            raise WeightsError(f"an array of type {code!r}")
        dtype = np.dtype(f"{order}{code}")
        flat: npt.NDArray[Any] = np.frombuffer(data, dtype)
        return np.array(flat.reshape(tuple(shape), order="F" if fortran else "C"))


def read_numpy_pickle(data: bytes, most: int) -> dict[str, npt.NDArray[Any]]:
    """Returns the arrays of nested dictionaries under their paths, such as ``layer/kernel``.

    Args:
        data: The file.
        most: Bytes of all arrays together: one that is named again and again is made as often.

    Raises:
        WeightsError: The file holds anything else, or is damaged.
    """
    try:
        return _arrays(_leaves(_run(data), ""), most)
    except WeightsError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise WeightsError(f"not a pickle of dictionaries of arrays ({error})") from error


def _arrays(leaves: Iterable[tuple[str, _Made]], most: int) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    total = 0
    for path, made in leaves:
        found[path] = made.array()
        total += found[path].nbytes
        if total > most:
            raise WeightsError(f"it describes more than {most:,} bytes of arrays")
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, _Made]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path}/{name}" if path else str(name))
    elif isinstance(value, _Made) and value.name in _RECONSTRUCT:
        yield path, value
    else:
        raise WeightsError(f"{path or 'the file'} is a {type(value).__name__}; expected an array")


def _run(data: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in _PUSHED:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_allowed(str(argument)))
        elif name in _ACTIONS:
            _ACTIONS[name](stack)
        elif name not in ("PROTO", "FRAME"):
            raise WeightsError(f"a pickle with the instruction {name}; expected arrays only")
    raise WeightsError("a pickle without an end")


def _allowed(name: str) -> str:
    if name not in _NAMES:
        raise WeightsError(f"a pickle that calls {name.replace(' ', '.')!r}; expected arrays only")
    return name


def _reduce(stack: list[Any]) -> None:
    arguments, name = stack.pop(), stack.pop()
    stack.append(_Made(name, arguments))


def _build(stack: list[Any]) -> None:
    state = stack.pop()
    if not isinstance(stack[-1], _Made):
        raise WeightsError(f"a pickle that builds a {type(stack[-1]).__name__}; expected arrays only")
    stack[-1].state = state


def _since_mark(stack: list[Any]) -> list[Any]:
    start = max(i for i, value in enumerate(stack) if value is _MARK)
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _set_items(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    stack[-1][key] = value


def _tuple_of(count: int) -> Callable[[list[Any]], None]:
    def action(stack: list[Any]) -> None:
        items = tuple(stack[-count:])
        del stack[-count:]
        stack.append(items)

    return action


_ACTIONS: dict[str, Callable[[list[Any]], None]] = {
    "MARK": lambda stack: stack.append(_MARK),
    "EMPTY_DICT": lambda stack: stack.append({}),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "REDUCE": _reduce,
    "BUILD": _build,
}
