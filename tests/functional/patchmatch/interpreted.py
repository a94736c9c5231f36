"""Runs the Triton kernels of patch match on the CPU, by Triton's interpreter, in a process of its own.

Triton looks at TRITON_INTERPRET when its own functions are defined, once a process: the one that runs the
tests can't have both the interpreter and the compiler.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowsynth.functional.patchmatch import search as patchmatch
from flowsynth.functional.patchmatch.search import Field

#: Pixels in one program: the interpreter's time goes with programs, not with pixels.
TILE = (32, 32)


class Interpreter:
    """Calls the kernels in the other process; tensors go through numpy, whole and by value."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def improve(self, *args: Any, tile: tuple[int, int] = TILE) -> Field:
        found: Field = self._call("improve", tile, *args)
        return found

    def remap(self, *args: Any, tile: tuple[int, int] = TILE) -> Tensor:
        made: Tensor = self._call("remap", tile, *args)
        return made

    def match(self, *args: Any) -> tuple[Field, Tensor]:
        found: tuple[Field, Tensor] = self._call("match", TILE, *args)
        return found

    def prove(self) -> None:
        self._call("prove", TILE, "cpu")

    def _call(self, name: str, tile: tuple[int, int], *args: Any) -> Any:
        return _tensors(self._pool.submit(_there, name, tile, _arrays(args)).result())


@contextmanager
def interpreter() -> Iterator[Interpreter]:
    """Start the process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_start) as pool:
        yield Interpreter(pool)


def _start() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
    from flowsynth.functional.patchmatch import search_triton as kernels

    chosen = patchmatch._Steps(kernels.improve, kernels.remap)
    patchmatch._steps = lru_cache(lambda device: chosen)


def _there(name: str, tile: tuple[int, int], args: Any) -> Any:
    from flowsynth.functional.patchmatch import search_triton as kernels

    kernels._TILE = tile
    call = patchmatch.match if name == "match" else getattr(kernels, name)
    return _arrays(call(*_tensors(args)))


def _arrays(value: Any) -> Any:
    """Tensors as arrays, fields as pairs of them under a name."""
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, Field):
        return {"rows": value.rows.numpy(), "columns": value.columns.numpy()}
    return tuple(_arrays(x) for x in value) if isinstance(value, list | tuple) else value


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, dict):
        return Field(*(torch.from_numpy(value[name]) for name in ("rows", "columns")))
    if value == "cpu":
        return torch.device("cpu")
    return tuple(_tensors(x) for x in value) if isinstance(value, tuple) else value
