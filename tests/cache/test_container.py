"""The parser of object headers meets what an enemy or a failing disk would write."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowsynth.cache import container
from flowsynth.cache.errors import FormatError
from flowsynth.cache.objects import ObjectStore
from flowsynth.core.codec import Buffer
from tests.cache.helpers import key_of, same, sample

KEY = "ab" * 20


def file_of(document: Any, data: bytes = b"") -> bytes:
    """An object file with a right checksum around any header."""
    text = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    whole = bytearray(struct.pack("<Q", len(text)) + text + data)
    at = container.DIGEST_AT
    if len(whole) > at + 16:
        whole[at : at + 16] = container.checksum(memoryview(whole))
    return bytes(whole)


def document(tensors: dict[str, Any], **fields: str) -> dict[str, Any]:
    meta = {"xxh3": "0" * 16, "format": "1", "key": KEY, "codec": "S", "version": "1", "seconds": "1"}
    return {"__metadata__": {**meta, "meta": "{}", **fields}, **tensors}


def tensor(dtype: Any, shape: Any, *offsets: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


def test_the_helper_makes_a_good_file() -> None:
    good = file_of(document({"x": tensor("U8", [2, 2], 0, 4), "y": tensor("F32", [], 4, 8)}), b"12345678")
    found = container.open_view(memoryview(good), KEY, check=True)
    assert (found.codec_name, found.codec_version) == ("S", 1)
    assert {name: bytes(b.data) for name, b in found.encoded.tensors.items()} == {"x": b"1234", "y": b"5678"}


HUGE = 1 << 62
HOSTILE = {
    "no metadata": {"x": tensor("U8", [4], 0, 4)},
    "another format": document({}, format="2"),
    "another key": document({}, key="cd" * 20),
    "meta is no JSON": document({}, meta="{"),
    "meta is a list": document({}, meta="[]"),
    "version is no number": document({}, version="one"),
    "seconds are endless": document({}, seconds="inf"),
    "seconds are none": document({}, seconds="nan"),
    "seconds are negative": document({}, seconds="-1"),
    "an extra field": document({}, extra="x"),
    "overlap": document({"x": tensor("U8", [4], 0, 4), "y": tensor("U8", [4], 2, 6)}),
    "hole": document({"x": tensor("U8", [2], 0, 2), "y": tensor("U8", [4], 4, 8)}),
    "past the end": document({"x": tensor("U8", [9], 0, 9)}),
    "data left over": document({"x": tensor("U8", [4], 0, 4)}),
    "huge shape": document({"x": tensor("U8", [HUGE, HUGE], 0, 8)}),
    "huge offsets": document({"x": tensor("U8", [HUGE], 0, HUGE)}),
    "negative": document({"x": tensor("U8", [-8], 0, 8)}),
    "two negatives": document({"x": tensor("U8", [-4, -2], 0, 8)}),
    "backwards": document({"x": tensor("U8", [8], 8, 0)}),
    "booleans": document({"x": tensor("U8", [True] * 3, False, True)}),
    "floats": document({"x": tensor("U8", [8.0], 0, 8)}),
    "unknown dtype": document({"x": tensor("OBJECT", [8], 0, 8)}),
    "dtype is a list": document({"x": tensor(["U8"], [8], 0, 8)}),
    "shape is a text": document({"x": tensor("U8", "8", 0, 8)}),
    "one offset": document({"x": tensor("U8", [8], 0)}),
    "no entry": document({"x": None}),
    "a path": document({"../../etc/passwd": tensor("U8", [8], 0, 8)}),
    "no name": document({"": tensor("U8", [8], 0, 8)}),
    "metadata is a list": {"__metadata__": []},
    "not a mapping": [1, 2],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_with_a_right_checksum_is_a_quarantined_miss(tmp_path: Path, name: str) -> None:
    store = ObjectStore(tmp_path)
    path = Path(store.path(KEY))
    path.parent.mkdir()
    path.write_bytes(file_of(HOSTILE[name], b"12345678"))
    assert store.get(KEY) is None
    assert store.seconds(KEY) == 0.0
    assert len(store.quarantined) == 1
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, 100, 10**6, 1 << 40, (1 << 64) - 1])
def test_a_hostile_length_is_a_quarantined_miss(tmp_path: Path, length: int) -> None:
    store = ObjectStore(tmp_path)
    path = Path(store.path(KEY))
    path.parent.mkdir()
    path.write_bytes(struct.pack("<Q", length) + file_of(document({}))[8:])
    assert store.get(KEY) is None
    assert store.seconds(KEY) == 0.0


def test_deep_nesting_and_long_numbers_are_misses() -> None:
    start = container._PREFIX + b"0" * 16 + b'"},"x":'
    for text in (start + b"[" * 200_000, start + b"9" * 100_000 + b"}", start + b'"\\ud800"}'):
        with pytest.raises(FormatError):
            container.open_view(memoryview(file_of(text)), KEY, check=True)


def parses_or_refuses(data: bytes) -> None:
    """A view of any bytes: either a good object inside its file, or a FormatError, nothing else."""
    try:
        encoded = container.open_view(memoryview(data), KEY, check=False).encoded
    except FormatError:
        return
    assert all(isinstance(b, Buffer) for b in encoded.tensors.values())
    assert encoded.nbytes <= len(data)


#: How many of hypothesis's examples.
examples = pytest.mark.parametrize("examples", [50, pytest.param(200, marks=pytest.mark.slow)])


@examples
def test_random_bytes(examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(st.binary(max_size=400), st.booleans())
    def holds(data: bytes, prefixed: bool) -> None:
        start = struct.pack("<Q", max(0, len(data))) + container._PREFIX if prefixed else b""
        parses_or_refuses(start + data)

    holds()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["U8", "F32", "BOOL", "X"]) | JSON,
        "shape": st.lists(st.integers(-2, 9), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-2, 40), min_size=1, max_size=3) | JSON,
    },
)


@examples
def test_random_headers(examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(st.dictionaries(st.text(max_size=6), ENTRY | JSON, max_size=4), st.integers(0, 64), JSON)
    def holds(tensors: dict[str, Any], size: int, meta: Any) -> None:
        parses_or_refuses(file_of(document(tensors, meta=json.dumps(meta)), bytes(size)))

    holds()


@examples
def test_mutations_of_a_good_file(examples: int) -> None:
    """A few bytes changed anywhere: the checksum says so; past the checksum the parser still holds."""

    @settings(deadline=None, max_examples=examples)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        stored = sample(1, 100)
        header, pieces = container.build_header(KEY, "Sample", 3, stored.encoded, 1.0)
        whole = bytearray(header + b"".join(pieces))
        whole[container.DIGEST_AT : container.DIGEST_AT + 16] = container.checksum(memoryview(whole))
        good = bytes(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        parses_or_refuses(bytes(whole))
        if bytes(whole) != good:
            with pytest.raises(FormatError):
                container.open_view(memoryview(whole), KEY, check=True)

    holds()


NAMES = st.text("abcXYZ019_", min_size=1, max_size=12)
META = st.text() | st.integers() | st.booleans() | st.none()


@examples
def test_any_value_comes_back(examples: int) -> None:
    @settings(deadline=None, max_examples=examples)
    @given(
        st.dictionaries(NAMES, st.binary(max_size=300), max_size=5),
        st.dictionaries(st.text(), META, max_size=4),
    )
    def holds(tensors: dict[str, bytes], meta: dict[str, Any]) -> None:
        from flowsynth.cache import StoredObject
        from flowsynth.core.codec import Encoded

        buffers = {name: Buffer("U8", (len(data),), memoryview(data)) for name, data in tensors.items()}
        stored = StoredObject("S", 1, Encoded(meta, buffers))
        header, pieces = container.build_header(KEY, "S", 1, stored.encoded, 1.0)
        found = container.open_view(memoryview(header + b"".join(pieces)), KEY, check=False)
        assert same(found, stored)
        assert len(key_of(stored)) == 40

    holds()
