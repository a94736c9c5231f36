from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from flowsynth.cache import Cache, CacheError
from flowsynth.cache import store as module
from tests.cache.helpers import key_of, same, sample


def fresh_row(cache: Cache, key: str) -> bytes | None:
    """What another process would see."""
    with Cache(cache.root, read_only=True) as look:
        return look.lookup(key)


def test_a_costly_row_is_committed_on_return(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.record("k", b"row", 0.5)
        assert fresh_row(cache, "k") == b"row"


def test_cheap_rows_wait_but_are_seen_here_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_WAIT", 5.0)
    with Cache(tmp_path) as cache:
        cache._closed = True  # no background thread in this test
        assert cache.leases.try_acquire("k1")
        cache.record("k1", b"row 1", 1e-6)
        assert fresh_row(cache, "k1") is None
        assert cache.lookup("k1") == b"row 1"
        assert cache.lookup_many(["k1", "k2"]) == {"k1": b"row 1"}
        assert cache.leases.held() == ["k1"]
        cache.record("k2", b"row 2", 1e-3)
        assert fresh_row(cache, "k1") == b"row 1"
        assert cache.leases.held() == []
        for i in range(module.COMMIT_ROWS):
            cache.record(f"n{i}", b"row", 0.0)
        assert fresh_row(cache, "n0") == b"row"
        cache._closed = False


def test_cheap_rows_are_committed_soon_though_nobody_calls(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.record("k", b"row", 1e-6)
        end = time.monotonic() + 5
        while fresh_row(cache, "k") is None and time.monotonic() < end:
            time.sleep(0.01)
        assert fresh_row(cache, "k") == b"row"


def test_closing_commits(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.record("k", b"row", 0.0)
    cache.close()
    cache.close()
    assert fresh_row(cache, "k") == b"row"


def test_threads_record_and_look_up_at_once(tmp_path: Path) -> None:
    faults: list[str] = []
    with Cache(tmp_path) as cache:

        def work(n: int) -> None:
            for i in range(300):
                key = f"{n}-{i}"
                cache.leases.try_acquire(key)
                cache.record(key, key.encode(), 2e-4)
                if cache.lookup(key) != key.encode() or cache.lookup_many([key]) != {key: key.encode()}:
                    faults.append(key)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cache.commit()
        assert faults == []
        assert len(cache.traces) == 1200
        assert cache.leases.held() == []


def test_objects_through_the_facade(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        stored = sample(1)
        key = key_of(stored)
        assert cache.get_object(key) is None
        nbytes = cache.put_object(key, stored, 2.0)
        assert nbytes == cache.objects.size(key)
        found = cache.get_object(key)
        assert found is not None
        assert same(found, stored)
        assert [info.key for info in cache.ls()] == [key]
        cache.record("k", b"row", 1.0)
        stats = cache.stats()
        assert (stats["traces"], stats["objects"], stats["object_bytes"]) == (1, 1, nbytes)
        assert cache.verify() == []
        cache.clear()
        stats = cache.stats()
        assert (stats["traces"], stats["objects"], stats["quarantined"]) == (0, 0, 0)


def test_a_value_with_a_codec_is_put_as_it_is(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from flowsynth.values import Tensors

    value = Tensors({"x": torch.arange(6.0).reshape(2, 3)}, {"note": 1})
    with Cache(tmp_path) as cache:
        cache.put_object("ab" * 20, value)
        found = cache.get_object("ab" * 20)
        assert found is not None
        assert found.codec_name == Tensors.codec_name
        assert torch.equal(Tensors.decode(found.encoded).tensors["x"], value.tensors["x"])


def test_looking_at_a_cache_that_is_not_there(tmp_path: Path) -> None:
    with Cache(tmp_path / "none", read_only=True) as cache:
        assert cache.lookup("k") is None
        assert cache.lookup_many(["k"]) == {}
        assert cache.get_object("ab" * 20) is None
        assert cache.stats()["objects"] == 0
        with pytest.raises(CacheError, match="reading only"):
            cache.record("k", b"row", 0.0)
    assert not (tmp_path / "none").exists()


def test_a_bad_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be used as a folder"):
        Cache(tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", ["with space", "ünïcode", "a%20b#c?d", "semi;colon"])
def test_folders_of_any_name(tmp_path: Path, name: str) -> None:
    with Cache(tmp_path / name) as cache:
        cache.record("k", b"row", 1.0)
    with Cache(tmp_path / name) as cache:
        assert cache.lookup("k") == b"row"
    assert [path.name for path in tmp_path.iterdir()] == [name]
