"""Matrices of numbers out of a MATLAB 5 file (MAT-File Format, The MathWorks, 1-2 ff.)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.weights.errors import WeightsError

_HEAD = 128
_MATRIX, _COMPRESSED = 14, 15
#: Numbers by the file's types of them.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Classes of matrices of real numbers: double, single, and whole ones.
_CLASSES = range(6, 16)
_COMPLEX = 0x0800


def read_matlab(data: bytes, most: int) -> dict[str, npt.NDArray[Any]]:
    """Returns the real matrices of a file by name.

    Args:
        data: The file.
        most: Bytes of all matrices together.

    Raises:
        WeightsError: Anything else is in it, or it is damaged.
    """
    if len(data) < _HEAD or data[126:128] != b"IM":
        raise WeightsError("not a MATLAB 5 file of a little-endian machine")
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        for kind, content in _unpacked(_elements(data[_HEAD:]), most):
            if kind != _MATRIX:
                raise WeightsError(f"an element of type {kind} beside matrices")
            name, matrix = _matrix(content)
            found[name] = matrix
            if sum(array.nbytes for array in found.values()) > most:
                raise WeightsError(f"its matrices take more than {most:,} bytes")
    except (struct.error, zlib.error, ValueError, LookupError, UnicodeDecodeError) as error:
        raise WeightsError(f"damaged ({error})") from error
    return found


def _unpacked(elements: Iterable[tuple[int, bytes]], most: int) -> Iterator[tuple[int, bytes]]:
    """The elements, with those inside compressed ones in their place."""
    for kind, content in elements:
        if kind == _COMPRESSED:
            yield from _elements(zlib.decompressobj().decompress(content, most + 1024))
        else:
            yield kind, content


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each element; short ones have both in eight bytes."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:
            kind, size, at = kind & 0xFFFF, kind >> 16, at + 4
            content, following = data[at : at + size], at + 4
        else:
            at += 8
            content = data[at : at + size]
            following = at + size + (0 if kind == _COMPRESSED else -size % 8)
        if len(content) != size:
            raise WeightsError(f"an element of {size} bytes in {len(content)}")
        yield kind, content
        at = following


def _matrix(data: bytes) -> tuple[str, npt.NDArray[Any]]:
    (_, flags), (_, shape), (_, name), (kind, values), *_ = [*_elements(data), (0, b""), (0, b"")]
    (head,) = struct.unpack_from("<I", flags)
    if head & 0xFF not in _CLASSES or head & _COMPLEX:
        raise WeightsError(f"{name.decode('ascii')!r} is no matrix of real numbers")
    sides = tuple(int(side) for side in np.frombuffer(shape, "<i4"))
    numbers = np.frombuffer(values, f"<{_TYPES[kind]}").astype(np.float64)
    return name.decode("ascii"), np.array(numbers.reshape(sides, order="F"))
