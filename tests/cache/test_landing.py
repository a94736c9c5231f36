"""Objects that come from elsewhere, taken in only as what their names say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.cache.errors import FormatError
from flowsynth.cache.landing import MOST_BYTES, land
from flowsynth.cache.objects import ObjectStore
from tests.cache.helpers import key_of, same, sample

VALUE = sample(3)
KEY = key_of(VALUE)


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """The file of an object, as another machine has it."""
    other = ObjectStore(tmp_path / "other")
    other.put(KEY, VALUE.codec_name, VALUE.codec_version, VALUE.encoded)
    return Path(other.path(KEY)).read_bytes()


def parts(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def left(folder: Path) -> list[str]:
    return [path.name for path in (folder / "tmp").iterdir()]


def test_an_object_lands_whole(tmp_path: Path, data: bytes) -> None:
    store = ObjectStore(tmp_path / "here")
    assert same(land(store, KEY, len(data), parts(data), lambda _: True), VALUE)
    found = store.get(KEY)
    assert found is not None
    assert same(found, VALUE)
    assert Path(store.path(KEY)).read_bytes() == data
    assert left(store.root) == []


def test_where_there_is_no_room_it_is_had_for_this_once(tmp_path: Path, data: bytes) -> None:
    store = ObjectStore(tmp_path / "here")
    assert same(land(store, KEY, len(data), parts(data), lambda _: False), VALUE)
    assert not store.has(KEY)
    assert left(store.root) == []
    looked = ObjectStore(tmp_path / "looked", read_only=True)
    assert same(land(looked, KEY, len(data), parts(data), lambda _: True), VALUE)
    assert not looked.root.exists()


@pytest.mark.parametrize("size", [0, -1, MOST_BYTES + 1])
def test_sizes_that_no_object_has(tmp_path: Path, data: bytes, size: int) -> None:
    def unread() -> Iterator[bytes]:
        yield from pytest.fail("not even asked for")

    with pytest.raises(FormatError, match="no size of an object"):
        land(ObjectStore(tmp_path / "here"), KEY, size, unread(), lambda _: True)


def test_what_is_not_what_it_is_said_to_be(tmp_path: Path, data: bytes) -> None:
    store = ObjectStore(tmp_path / "here")
    asked: list[int] = []

    def admit(nbytes: int) -> bool:
        asked.append(nbytes)
        return True

    def endless() -> Iterator[bytes]:
        while True:
            yield b"\0" * 1000

    other = key_of(sample(4))
    forged = ObjectStore(tmp_path / "forged")
    forged.put(other, VALUE.codec_name, VALUE.codec_version, VALUE.encoded)
    wrong = Path(forged.path(other)).read_bytes()  # sound but for its name
    for key, size, given in [
        (KEY, len(data), parts(data[:-1])),
        (KEY, len(data), endless()),
        (KEY, len(data), parts(data[:-1] + bytes([data[-1] ^ 1]))),
        (KEY, len(data), parts(b"\xff" * len(data))),
        (other, len(wrong), parts(wrong)),
        ("../../../../evil", len(data), parts(data)),
        ("spooled", len(data), parts(data)),
    ]:
        with pytest.raises(FormatError):
            land(store, key, size, given, admit)
    assert not asked  # no room is made for what is worthless
    assert list(store.keys()) == []
    assert left(store.root) == []
