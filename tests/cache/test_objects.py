from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flowsynth.cache import CacheError, StoredObject
from flowsynth.cache.container import DIGEST_AT
from flowsynth.cache.objects import ObjectStore
from flowsynth.cache.platform import host_tag
from flowsynth.core.codec import Buffer, Encoded
from tests.cache.helpers import key_of, same, sample
from tests.processes import python


def put(store: ObjectStore, stored: StoredObject, seconds: float = 1.0) -> str:
    key = key_of(stored)
    store.put(key, stored.codec_name, stored.codec_version, stored.encoded, seconds)
    return key


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4000, 3_000_001])
def test_what_is_put_comes_back(tmp_path: Path, nbytes: int) -> None:
    store, stored = ObjectStore(tmp_path), sample(1, nbytes)
    key = put(store, stored)
    for opened in (store, ObjectStore(tmp_path)):
        found = opened.get(key)
        assert found is not None
        assert same(found, stored)
        assert found.encoded.meta == stored.encoded.meta
    assert store.size(key) == Path(store.path(key)).stat().st_size
    assert list(store.keys()) == [key]
    assert store.seconds(key) == 1.0


def test_a_value_without_tensors(tmp_path: Path) -> None:
    store, stored = ObjectStore(tmp_path), StoredObject("Note", 1, Encoded({"text": "x" * 500_000}))
    key = put(store, stored)
    found = ObjectStore(tmp_path).get(key)
    assert found is not None
    assert same(found, stored)
    assert store.seconds(key) == 1.0  # the header is longer than one read


def test_files_are_plain_safetensors_with_aligned_tensors(tmp_path: Path) -> None:
    store, stored = ObjectStore(tmp_path), sample(2, 4001)
    key = put(store, stored)
    arrays = {name: a for name, a in load_file(store.path(key)).items() if not name.startswith(".pad")}
    assert arrays.keys() == stored.encoded.tensors.keys()
    found = store.get(key)
    assert found is not None
    for name, tensor in found.encoded.tensors.items():
        assert arrays[name].tobytes() == bytes(tensor.data)
        view = np.frombuffer(tensor.data, dtype=np.uint8)
        assert view.__array_interface__["data"][0] % 64 == 0, name


def test_a_write_to_a_view_reaches_neither_file_nor_reader(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    key = put(store, sample())
    first, second = store.get(key), store.get(key)
    assert first is not None
    assert second is not None
    old = second.encoded.tensors["frames"].data[0]
    first.encoded.tensors["frames"].data[0] = old ^ 255
    assert second.encoded.tensors["frames"].data[0] == old
    assert store.verify() == []


def test_putting_twice_writes_once_and_a_new_codec_version_replaces(tmp_path: Path) -> None:
    store, stored = ObjectStore(tmp_path), sample()
    key = put(store, stored)
    inode = Path(store.path(key)).stat().st_ino
    put(store, stored)
    assert Path(store.path(key)).stat().st_ino == inode
    store.put(key, "Sample", 4, stored.encoded)
    found = store.get(key)
    assert found is not None
    assert found.codec_version == 4


def test_every_flipped_byte_is_found_by_a_fresh_process(tmp_path: Path) -> None:
    store, stored = ObjectStore(tmp_path), sample(3, 100)
    key = put(store, stored)
    path = Path(store.path(key))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        fresh = ObjectStore(tmp_path)
        assert fresh.get(key) is None, f"byte {at} of {len(whole)} (checksum at {DIGEST_AT})"
        assert not path.exists()
        assert [bad for bad, _ in fresh.quarantined] == [key]
    put(store, stored)
    assert ObjectStore(tmp_path).get(key) is not None


def test_damage_is_found_by_this_process_too_when_the_file_was_replaced(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    key = put(store, sample())
    assert store.get(key) is not None
    path = Path(store.path(key))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.get(key) is None


@pytest.mark.parametrize("cut", [0, 1, 8, 40, 300, -1])
def test_a_truncated_file_is_a_miss(tmp_path: Path, cut: int) -> None:
    store = ObjectStore(tmp_path)
    key = put(store, sample())
    path = Path(store.path(key))
    path.write_bytes(path.read_bytes()[:cut])
    assert store.get(key) is None
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_another_object_under_a_name_is_a_miss(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    first, second = put(store, sample(1)), put(store, sample(2))
    Path(store.path(first)).replace(store.path(second))
    assert store.get(second) is None
    assert "another object" in store.quarantined[0][1]


def test_verify_names_the_bad_ones(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    keys = [put(store, sample(seed)) for seed in range(5)]
    path = Path(store.path(keys[3]))
    data = bytearray(path.read_bytes())
    data[700] ^= 4
    stat = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a failing disk would: no trace in the times
    assert store.verify() == [keys[3]]
    assert sorted(store.keys()) == sorted(set(keys) - {keys[3]})


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "ab/../cd", "", "AB" * 20, "ab\0c", "a" * 999]
)
def test_keys_that_are_paths_lead_nowhere(tmp_path: Path, key: str) -> None:
    store, stored = ObjectStore(tmp_path), sample()
    assert store.get(key) is None
    assert store.size(key) is None
    assert not store.remove(key)
    with pytest.raises(ValueError, match="no object key"):
        store.put(key, "Sample", 1, stored.encoded)


def test_tensor_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    one = Buffer("U8", (1,), memoryview(b"x"))
    for name in ("", ".pad1", "__metadata__", "a/b", "x" * 300):
        with pytest.raises(ValueError, match="cannot name"):
            ObjectStore(tmp_path).put("ab" * 20, "S", 1, Encoded({}, {name: one}))


def test_temporary_files_of_the_dead_are_swept_and_of_the_living_are_not(tmp_path: Path) -> None:
    ObjectStore(tmp_path)
    dead = python("import os; print(os.getpid())").strip()
    temp = tmp_path / "tmp"
    (temp / f"{host_tag()}.{dead}.1.tmp").write_bytes(b"half")
    (temp / f"{host_tag()}.{os.getpid()}.1.tmp").write_bytes(b"being written")
    (temp / f"elsewhere-1.{dead}.1.tmp").write_bytes(b"another host's")
    old = temp / "elsewhere-1.1.1.tmp"
    old.write_bytes(b"forgotten")
    os.utime(old, (0, 0))
    ObjectStore(tmp_path)
    assert sorted(path.read_bytes() for path in temp.iterdir()) == [b"another host's", b"being written"]


def test_reading_only_changes_nothing(tmp_path: Path) -> None:
    key = put(ObjectStore(tmp_path), sample())
    store = ObjectStore(tmp_path, read_only=True)
    assert store.get(key) is not None
    path = Path(store.path(key))
    path.write_bytes(path.read_bytes()[:-1])
    assert store.get(key) is None
    assert path.exists()
    with pytest.raises(CacheError, match="reading only"):
        put(store, sample(9))


def test_a_file_in_the_place_of_the_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CacheError, match="cannot be used as a folder"):
        ObjectStore(tmp_path / "cache")


def test_a_cleared_folder_is_made_again(tmp_path: Path) -> None:
    import shutil

    store = ObjectStore(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert store.get(put(store, sample())) is not None
