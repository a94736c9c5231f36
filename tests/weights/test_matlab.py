"""Matrices out of MATLAB files, and everything else in one refused."""

from __future__ import annotations

import contextlib
import struct
import zlib

import numpy as np
import pytest

from flowsynth.weights.errors import WeightsError
from flowsynth.weights.formats import read_files
from flowsynth.weights.matlab import read_matlab

HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind: int, content: bytes, *, short: bool = False) -> bytes:
    if short:
        return struct.pack("<I", kind | len(content) << 16) + content.ljust(4, b"\0")
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(name: str, values: np.ndarray, number: int, class_: int = 6, flags: int = 0) -> bytes:
    shape = np.array(values.shape, "<i4").tobytes()
    content = element(6, struct.pack("<II", class_ | flags, 0)) + element(5, shape)
    content += element(1, name.encode(), short=len(name) <= 4) + element(number, values.tobytes(order="F"))
    return element(14, content)


def packed(content: bytes) -> bytes:
    data = zlib.compress(content)
    return struct.pack("<II", 15, len(data)) + data


def test_matrices_come_back_by_name() -> None:
    mean, cover = np.arange(6.0).reshape(2, 3), np.array([[1, 2], [3, 250]], "u1")
    file = HEAD + packed(matrix("mu", mean, 9)) + matrix("covariance", cover, 2)
    found = read_matlab(file, 1000)
    assert (found["mu"] == mean).all()
    assert (found["covariance"] == cover).all()
    assert list(read_files({"a.mat": file}, "matlab", "niqe", 80)) == ["mu", "covariance"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a MATLAB 5 file"),
        (HEAD[:-2] + b"MI", "little-endian"),
        (HEAD + element(9, bytes(16)), "beside matrices"),
        (HEAD + matrix("text", np.zeros((1, 2), "<u2"), 4, class_=4), "no matrix of real numbers"),
        (HEAD + matrix("cells", np.zeros((1, 2), "<u2"), 4, class_=1), "no matrix of real numbers"),
        (HEAD + matrix("turning", np.zeros((1, 2)), 9, flags=0x800), "no matrix of real numbers"),
        (HEAD + matrix("large", np.zeros((40, 40)), 9), "take more than"),
        (HEAD + packed(matrix("bomb", np.zeros((999, 999)), 9)), "an element of"),
        (HEAD + matrix("cut", np.zeros((4, 4)), 9)[:-20], "an element of"),
        (HEAD + packed(matrix("cut", np.zeros((4, 4)), 9))[:-9], "an element of|damaged"),
        (HEAD + matrix("odd", np.zeros((4, 4)), 77), "damaged"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(WeightsError, match=why):
        read_matlab(data, 1000)


def test_no_damage_is_more_than_a_message() -> None:
    whole = HEAD + packed(matrix("mu", np.arange(6.0).reshape(2, 3), 9)) + matrix("c", np.eye(3), 9)
    rng = np.random.default_rng(0)
    for _ in range(400):
        broken = bytearray(whole)
        for place in rng.integers(len(HEAD), len(whole), 3):
            broken[place] = int(rng.integers(256))
        with contextlib.suppress(WeightsError):
            read_matlab(bytes(broken), 1000)
