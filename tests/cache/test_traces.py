from __future__ import annotations

import pickle
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from flowsynth.cache import CacheError
from flowsynth.cache import rows as module
from flowsynth.cache.disk import open_index
from flowsynth.cache.rows import COLUMNS, SCHEMA
from flowsynth.cache.traces import TraceStore
from tests.cache.helpers import python
from tests.processes import start

DIRECT = pytest.mark.parametrize("direct", [True, False])


def opened(folder: Path, direct: bool, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    """A store that reads on its own connection, or one that found an unexpected table."""
    if not direct:
        monkeypatch.setattr(module, "COLUMNS", ("something else",))
    store = TraceStore(folder)
    assert store._direct is direct
    return store


@DIRECT
def test_rows_come_back(tmp_path: Path, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path, direct, monkeypatch)
    rows = {f"{i:040x}": f"row {i}".encode() for i in range(1234)}
    rows["ü/../x y"] = b""
    rows["big"] = bytes(900_000)
    assert len(store) == 0
    assert store.get("big") is None
    store.put_many(rows)
    assert store.get_many([*rows, "missing", "big"]) == rows
    assert all(store.get(key) == row for key, row in rows.items())
    assert store.get("missing") is None
    assert store.get_many([]) == {}
    assert len(store) == len(rows)
    assert sorted(store.keys("0000")) == sorted(key for key in rows if key.startswith("0000"))
    store.put_many({"big": b"small now"})
    store.delete_many(["ü/../x y", "missing"])
    assert store.get("big") == b"small now"
    assert store.get("ü/../x y") is None
    store.clear()
    assert list(store.keys("")) == []
    store.close()


def test_diskcache_keeps_no_files_of_its_own(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    store.put_many({"k": bytes(700_000)})
    assert {path.name for path in tmp_path.iterdir()} <= {
        "cache.db",
        "cache.db-wal",
        "cache.db-shm",
        "create.lock",
    }
    store.close()


def test_the_table_is_as_the_direct_reads_expect(tmp_path: Path) -> None:
    """Should a new diskcache change it, this says so; the store then reads through diskcache itself."""
    store = TraceStore(tmp_path)
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        columns = [f"{row[1]} {row[2]}" for row in connection.execute("PRAGMA table_info(Cache)")]
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert tuple(columns) == COLUMNS
    assert mode == "wal"
    store.close()


def test_diskcache_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    store.put_many({"a": b"1", "b": b"2", "c": b"3"})
    store.put_many({"b": b"22"})
    store.delete_many(["c"])
    index = open_index(tmp_path)
    assert sorted(index) == ["a", "b"]
    assert (index["a"], index["b"], len(index)) == (b"1", b"22", 2)
    (tmp_path / "create.lock").unlink()  # the one file here that is not diskcache's
    assert index.check() == []
    index["d"] = b"4"
    index["a"] = b"11"
    assert store.get_many(["a", "b", "c", "d"]) == {"a": b"11", "b": b"22", "d": b"4"}
    index.close()
    store.close()


def test_other_types_are_refused(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    for bad in ({"k": "text"}, {"k": 1}, {1: b"row"}, {"k": [1]}):
        with pytest.raises(TypeError):
            store.put_many(bad)  # type: ignore[arg-type]
    assert len(store) == 0
    store.close()


@DIRECT
def test_a_pickle_in_the_index_is_never_loaded(
    tmp_path: Path, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    store = TraceStore(tmp_path / "index")
    store.put_many({"good": b"row", "bad": b"x"})
    with sqlite3.connect(tmp_path / "index" / "cache.db") as connection:
        data = pickle.dumps(Bomb())
        connection.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = 'bad'", (data,))
    connection.close()
    store.close()
    store = opened(tmp_path / "index", direct, monkeypatch)
    if direct:
        assert store.get_many(["good", "bad"])["good"] == b"row"
    else:
        with pytest.raises(CacheError, match="never writes"):
            store.get("bad")
    assert not (tmp_path / "exploded").exists()
    store.close()


def test_a_row_of_another_type_is_a_miss(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    store.put_many({"a": b"row", "b": b"row"})
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = 'text' WHERE key = 'a'")
    connection.close()
    assert store.get("a") is None
    assert store.get_many(["a", "b"]) == {"b": b"row"}
    store.close()


@pytest.mark.parametrize("content", [b"this is no database " * 300, b"SQLite format 3\0" + b"\xff" * 8000])
def test_an_index_that_is_none_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "cache.db").write_bytes(content)
    store = TraceStore(tmp_path / "index")
    assert store.notice is not None
    assert "set aside" in store.notice
    store.put_many({"k": b"row"})
    assert store.get("k") == b"row"
    kept = list((tmp_path / "quarantine").glob("*/cache.db"))
    assert [path.read_bytes() for path in kept] == [content]
    store.close()
    assert TraceStore(tmp_path / "index").notice is None


def test_an_index_of_another_version_is_set_aside(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "index")
    store.put_many({"k": b"row"})
    store.close()
    with sqlite3.connect(tmp_path / "index" / "cache.db") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    look = TraceStore(tmp_path / "index", read_only=True)
    assert look.get("k") is None
    assert f"version {SCHEMA + 1}" in str(look.notice)
    store = TraceStore(tmp_path / "index")
    assert f"version {SCHEMA + 1}" in str(store.notice)
    assert store.get("k") is None
    store.close()


@pytest.mark.parametrize("by_check", [False, True])
def test_damage_met_while_reading_sets_the_index_aside(tmp_path: Path, by_check: bool) -> None:
    store = TraceStore(tmp_path / "index")
    store.put_many({f"{i:040x}": bytes(400) for i in range(3000)})
    store.close()
    path = tmp_path / "index" / "cache.db"
    data = bytearray(path.read_bytes())
    data[8192:-8192] = b"\xa5" * (len(data) - 16384)  # the first pages, with schema and version, stay
    path.write_bytes(data)
    store = TraceStore(tmp_path / "index")
    if by_check:
        assert not store.verify()
    assert store.get_many([f"{i:040x}" for i in range(3000)]) == {}
    assert "damaged" in str(store.notice)
    assert store.verify()
    store.put_many({"k": b"row"})
    assert store.get("k") == b"row"
    store.close()


def test_an_index_that_is_just_being_made_is_waited_for(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "index")
    store.put_many({"k": b"old"})
    store.close()
    path = tmp_path / "index" / "cache.db"
    path.unlink()
    with closing(sqlite3.connect(path)) as half:  # as far as its maker is before the table is there
        half.execute("PRAGMA journal_mode=wal")
    assert store.get("k") is None
    store.put_many({"k": b"new"})
    assert store.get("k") == b"new"


def test_damage_met_by_several_threads_at_once(tmp_path: Path) -> None:
    keys = [f"{i:040x}" for i in range(3000)]
    store = TraceStore(tmp_path / "index")
    store.put_many(dict.fromkeys(keys, bytes(400)))
    store.close()
    path = tmp_path / "index" / "cache.db"
    data = bytearray(path.read_bytes())
    data[8192:-8192] = b"\xa5" * (len(data) - 16384)
    path.write_bytes(data)
    store = TraceStore(tmp_path / "index")
    faults: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for i, key in enumerate(keys[n::4]):
                assert store.get(key) in (None, b"new")
                if i % 50 == 0:
                    store.put_many({key: b"new"})
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [], faults
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert len(store) > 40
    store.close()


def test_reading_only_makes_nothing_and_takes_no_write_lock(tmp_path: Path) -> None:
    look = TraceStore(tmp_path / "index", read_only=True)
    assert look.get("k") is None
    assert look.get_many(["k"]) == {}
    assert len(look) == 0
    assert list(look.keys("")) == []
    assert not (tmp_path / "index").exists()
    with pytest.raises(CacheError, match="reading only"):
        look.put_many({"k": b"row"})
    store = TraceStore(tmp_path / "index")
    store.put_many({"k": b"row"})
    writer = sqlite3.connect(tmp_path / "index" / "cache.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # somebody is in the middle of a write
    look = TraceStore(tmp_path / "index", read_only=True)
    assert look.get("k") == b"row"
    assert look.get_many(["k"]) == {"k": b"row"}
    assert store.get("k") == b"row"
    writer.execute("ROLLBACK")
    writer.close()
    look.close()
    store.close()


def test_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from flowsynth.cache.traces import TraceStore
store = TraceStore(Path(sys.argv[1]))
for i in range(50):
    store.put_many({f"p{sys.argv[2]}-{i}-{j}": b"row" for j in range(5)})
store.close()
"""
    processes = [start(code, tmp_path, n) for n in range(3)]  # all create the index at once
    store = TraceStore(tmp_path)

    def write(n: int) -> None:
        for i in range(50):
            store.put_many({f"t{n}-{i}-{j}": b"row" for j in range(5)})
            assert len(store.get_many([f"t{n}-{i}-{j}" for j in range(5)])) == 5

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    assert len(store) == 6 * 250
    store.close()


def test_a_look_imports_no_diskcache(tmp_path: Path) -> None:
    TraceStore(tmp_path).close()
    code = """
import sys
from pathlib import Path
from flowsynth.cache import Cache
from flowsynth.cache.traces import TraceStore
TraceStore(Path(sys.argv[1])).get("k")
print([name for name in ("diskcache", "torch", "filelock", "psutil", "pickle") if name in sys.modules])
"""
    assert python(code, tmp_path).strip() == "[]"


def test_threads_that_end_leave_no_connection_open(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    store.put_many({"k": b"row"})
    for _ in range(20):
        thread = threading.Thread(target=store.get, args=("k",))
        thread.start()
        thread.join()
    assert len(store._readers) <= 2
    assert store.get("k") == b"row"
    store.close()


def test_a_folder_that_diskcache_would_rename_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEWHERE", "else")
    with pytest.raises(CacheError, match="variable in its name"):
        TraceStore(tmp_path / "$SOMEWHERE")


def test_a_fork_has_connections_of_its_own(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from flowsynth.cache.traces import TraceStore
store = TraceStore(Path(sys.argv[1]))
store.put_many({"parent": b"row"})
assert store.get("parent") == b"row"
pid = os.fork()
if pid == 0:
    store.put_many({"child": b"row"})
    os._exit(0 if store.get("parent") == store.get("child") == b"row" else 1)
assert os.waitpid(pid, 0)[1] == 0
assert store.get("child") == b"row"
store.put_many({"again": b"row"})
store.close()
"""
    python(code, tmp_path)


@pytest.mark.parametrize("part", ["nothing", "some tables", "no version"])
def test_an_index_whose_maker_was_killed_is_made_ready(tmp_path: Path, part: str) -> None:
    path = tmp_path / "index" / "cache.db"
    TraceStore(tmp_path / "index").close()
    if part == "nothing":
        path.unlink()
        path.touch()
    with closing(sqlite3.connect(path)) as connection:
        if part == "some tables":
            connection.execute("DROP TABLE Cache")
        connection.execute("PRAGMA user_version = 0")
    store = TraceStore(tmp_path / "index")
    assert store.notice is None
    store.put_many({"k": b"row"})
    store.close()
    assert TraceStore(tmp_path / "index").get("k") == b"row"
