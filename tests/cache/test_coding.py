"""Coded objects: the same bytes come back, of all rows or of some, or else the object counts as damaged."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowsynth.cache import Cache, StoredObject, coding, container
from flowsynth.cache.objects import ObjectStore
from flowsynth.core.codec import Buffer, Encoded, content_hash
from tests.cache.helpers import buffer, key_of, same

#: Makes coding pay for whatever is large enough.
LONG = 1e6


def smooth(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[Any]:
    """What pictures are like: neighbours differ by little."""
    steps = np.random.default_rng(seed).integers(-2, 3, shape)
    return np.clip(np.cumsum(steps, axis=-1) + 128, 0, 255).astype(np.uint8)


def halves(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[Any]:
    """The high halves of normal numbers, as bfloat16 has them, with a NaN and an infinity among them."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    values.flat[:2] = np.nan, np.inf
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def stored(**tensors: Buffer) -> StoredObject:
    return StoredObject("Sample", 3, Encoded({"fps": "24/1"}, tensors))


def put(store: ObjectStore, value: StoredObject, seconds: float = LONG) -> str:
    key = key_of(value)
    written = store.put(key, value.codec_name, value.codec_version, value.encoded, seconds)
    assert written == store.size(key)
    return key


def method(store: ObjectStore, key: str) -> list[str]:
    header = store.header(key)
    assert header is not None
    return [found.method for found in header.codings.values()]


FRAMES = {
    "frames": stored(data=buffer(smooth((7, 3, 96, 160)), "U8")),
    "frames of odd sizes": stored(data=buffer(smooth((5, 3, 131, 173)), "U8")),
    "one colour": stored(data=buffer(np.full((4, 3, 150, 201), 7, np.uint8), "U8")),
    "narrow frames": stored(data=buffer(smooth((9, 3, 9000, 2)), "U8")),
}
FLOATS = {
    "bfloat16": stored(data=buffer(halves((12, 8, 40, 41)), "BF16")),
    "float16": stored(data=buffer(halves((300, 999)), "F16")),
    "several": stored(a=buffer(halves((9, 16000)), "BF16"), b=buffer(smooth((3, 3, 200, 199)), "U8"),
                      c=buffer(np.arange(6, dtype=np.int64), "I64")),
}  # fmt: skip
RAW = {
    "noise": stored(data=buffer(np.random.default_rng(0).integers(0, 256, (4, 3, 200, 200), np.uint8), "U8")),
    "float32": stored(data=buffer(np.zeros((4, 3, 200, 200), np.float32), "F32")),
    "masks": stored(data=buffer(np.zeros((9, 1, 200, 200), np.uint8), "U8")),
    "little": stored(data=buffer(smooth((2, 3, 20, 20)), "U8")),
}


@pytest.mark.parametrize("value", [*FRAMES.values(), *FLOATS.values()], ids=[*FRAMES, *FLOATS])
def test_coded_values_come_back_smaller(tmp_path: Path, value: StoredObject) -> None:
    store = ObjectStore(tmp_path)
    key = put(store, value)
    found = ObjectStore(tmp_path).get(key)
    assert found is not None
    assert same(found, value)
    assert (store.size(key) or 0) < 0.9 * value.encoded.nbytes
    assert method(store, key)
    assert store.verify() == []  # its name is the raw content's


@pytest.mark.parametrize("value", RAW.values(), ids=RAW)
def test_others_stay_as_they_were(tmp_path: Path, value: StoredObject) -> None:
    """What does not become smaller, no method fits or is little: the file is that of a value quickly made."""
    store, plain = ObjectStore(tmp_path / "a"), ObjectStore(tmp_path / "b")
    key = put(store, value)
    assert method(store, key) == []
    header, pieces = container.build_header(key, "Sample", 3, value.encoded, LONG)
    plain._new.create(plain.path(key), [header, *pieces], 0)
    assert (
        Path(store.path(key)).read_bytes()[container.DIGEST_AT + 16 :]
        == Path(plain.path(key)).read_bytes()[container.DIGEST_AT + 16 :]
    )


def test_what_is_quickly_made_is_not_coded(tmp_path: Path) -> None:
    store, value = ObjectStore(tmp_path), FRAMES["frames"]
    nbytes = value.encoded.nbytes
    least = coding.TIMES * nbytes / coding.BYTES_PER_SECOND
    assert method(store, put(store, value, 0.9 * least)) == []
    store.remove(key_of(value))
    assert method(store, put(store, value, 1.1 * least)) == ["utvideo"]


@pytest.mark.parametrize("name", ["frames of odd sizes", "bfloat16"])
def test_some_rows_are_read_alone(tmp_path: Path, name: str) -> None:
    value = {**FRAMES, **FLOATS}[name]
    store = ObjectStore(tmp_path)
    key, whole = put(store, value), value.encoded.tensors["data"]
    size = whole.data.nbytes // whole.shape[0]
    for start, stop in ((0, 1), (2, 5), (4, 5), (3, 3)):
        found = store.get(key, (start, stop))
        assert found is not None
        part = found.encoded.tensors["data"]
        assert (found.start, part.shape) == (start, (stop - start, *whole.shape[1:]))
        assert part.data == whole.data[start * size : stop * size]
        lies = np.frombuffer(part.data, np.uint8).__array_interface__["data"][0] if stop > start else 0
        assert stop == start or (lies - start * size) % 64 == 0  # as a slice of a mapped file lies
    beyond = store.get(key, (3, 10_000))
    assert beyond is not None
    assert beyond.start == 0


def test_raw_values_and_mixed_ones_come_whole(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    for value in (RAW["noise"], FLOATS["several"]):
        found = store.get(put(store, value), (1, 2))
        assert found is not None
        assert found.start == 0
        assert same(found, value)


def rewritten(path: Path, change: Callable[[dict[str, Any], bytearray], None]) -> None:
    """A file with something of it changed and a right checksum over it, as by somebody who means it."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    document, rest = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    codings = json.loads(document["__metadata__"]["coding"])
    change(codings["data"], rest)
    document["__metadata__"]["coding"] = json.dumps(codings)
    text = json.dumps(document, separators=(",", ":")).encode()
    whole = bytearray(struct.pack("<Q", len(text)) + text + rest)
    whole[container.DIGEST_AT : container.DIGEST_AT + 16] = container.checksum(memoryview(whole))
    path.unlink()
    path.write_bytes(whole)


def _flip(coded: Any, data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def _set(index: int, value: Any) -> Callable[[Any, bytearray], None]:
    def change(coded: Any, data: bytearray) -> None:
        coded[index] = value

    return change


LIES = {
    "a packet of another picture": _flip,
    "no such method": _set(0, "pickle"),
    "a dtype that it can't be": _set(1, "F64"),
    "larger frames": _set(2, [7, 3, 192, 160]),
    "endless frames": _set(2, [7, 3, 1 << 14, 1 << 14]),
    "no rows": _set(2, []),
    "negative rows": _set(2, [-7, 3, 96, 160]),
    "a codec of its own": _set(3, "FMP4 00"),
    "no text": _set(3, 7),
    "packets of other sizes": _set(4, [1] * 7),
    "other digests": _set(5, ["0" * 16] * 7),
    "fewer digests": _set(5, ["0" * 16]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lies_about_a_coding_are_damage(tmp_path: Path, lie: Callable[[Any, bytearray], None]) -> None:
    store = ObjectStore(tmp_path)
    key = put(store, FRAMES["frames"])
    rewritten(Path(store.path(key)), lie)
    assert ObjectStore(tmp_path).get(key) is None
    assert not store.has(key)


@pytest.mark.parametrize("name", ["frames", "bfloat16"])
def test_no_flipped_byte_is_read(tmp_path: Path, name: str) -> None:
    value = {**FRAMES, **FLOATS}[name]
    key = key_of(value)
    for at in np.random.default_rng(3).random(12):
        store = ObjectStore(tmp_path)
        put(store, value)
        data = bytearray(Path(store.path(key)).read_bytes())
        data[int(at * len(data))] ^= 0x10
        Path(store.path(key)).unlink()
        Path(store.path(key)).write_bytes(data)
        found = ObjectStore(tmp_path).get(key)
        assert found is None or same(found, value)
        assert ObjectStore(tmp_path).verify() == []


def test_the_budget_counts_what_lies_on_the_disk(tmp_path: Path) -> None:
    """Coded, six clips fit where raw there is room for four."""
    raw = FRAMES["frames"].encoded.nbytes
    with Cache(tmp_path, max_bytes=4 * raw) as cache:
        for seed in range(6):
            value = stored(data=buffer(smooth((7, 3, 96, 160), seed), "U8"))
            assert cache.put_object(content_hash("Sample", value.encoded), value, LONG)
        assert cache.stats()["objects"] == 6
        assert cache.stats()["object_bytes"] < 4 * raw
