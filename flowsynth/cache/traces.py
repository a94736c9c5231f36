"""Traces: the index from keys to what was found under them, as rows of bytes.

diskcache writes (one transaction a batch). Reads go through read-only connections of our own on its SQLite
file in WAL mode: they take no lock that a writer could wait for, need no import of diskcache, and cost a
third. Should diskcache's table ever look otherwise, reads go through diskcache instead.

A commit is in SQLite's log and survives a killed process; a power cut may lose the last commits, never
damage the index (``synchronous=NORMAL``). An index that is damaged anyway, or another program's, is set
aside under ``quarantine/`` and begun anew: it is a cache.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from flowsynth.cache.errors import CacheError, CacheFull
from flowsynth.cache.objects import make_folder
from flowsynth.cache.platform import exclusive, temp_name

_T = TypeVar("_T")
_log = logging.getLogger("flowsynth.cache")

#: In the file's ``user_version``; another number means rows we cannot read.
SCHEMA = 1
#: What the direct reads and diskcache must agree on.
COLUMNS = (
    "rowid INTEGER", "key BLOB", "raw INTEGER", "store_time REAL", "expire_time REAL", "access_time REAL",
    "access_count INTEGER", "tag BLOB", "size INTEGER", "mode INTEGER", "filename TEXT", "value BLOB",
)  # fmt: skip
_GET = "SELECT value FROM Cache WHERE key = ? AND raw = 1"
_BULK = 500
_MANY = f"SELECT key, value FROM Cache WHERE raw = 1 AND key IN ({','.join('?' * _BULK)})"  # noqa: S608
_RANGE = "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND key < ?"


class TraceStore:
    """str keys, bytes values. Any number of threads and processes may use it at once.

    Attributes:
        notice: why an earlier index was set aside at opening, or None.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._folder = Path(folder)
        self._path = self._folder / "cache.db"
        self._read_only = read_only
        self._local = threading.local()
        self._lock = threading.RLock()
        self._connections: list[sqlite3.Connection] = []
        self._index: Any = None
        self._epoch = 0
        self._empty = False
        self._direct = True
        self.notice: str | None = None
        if not read_only:
            make_folder(self._folder)
        self._prepare()

    def get(self, key: str) -> bytes | None:
        """One row, or None."""
        try:
            local = self._local
            if local.owner != (self._epoch, os.getpid()):
                raise AttributeError
            row = local.execute(_GET, (key,)).fetchone()
            return row[0] if row is not None and type(row[0]) is bytes else None
        except (AttributeError, sqlite3.Error):  # first use in this thread, a fork, or a fault
            return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """All rows there are among some keys; never takes a write lock."""
        return self._guard(lambda: self._read_many(keys))

    def _read_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        if self._empty:
            return {}
        if not self._direct:
            index = self._writer()
            found = {key: index.get(key) for key in keys}
            return {key: row for key, row in found.items() if row is not None}
        execute = self._reader()
        if len(keys) == 1:
            found = execute(_GET, (keys[0],)).fetchone()
            return {keys[0]: found[0]} if found and type(found[0]) is bytes else {}
        rows: dict[str, bytes] = {}
        for start in range(0, len(keys), _BULK):
            part = list(keys[start : start + _BULK])
            part += [part[-1]] * (_BULK - len(part))  # one statement for every length, prepared once
            rows.update(execute(_MANY, part))
        if not set(map(type, rows.values())) <= {bytes}:
            return {key: row for key, row in rows.items() if type(row) is bytes}
        return rows

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Write rows in one transaction: all of them or none.

        Raises:
            CacheFull: the disk is full; the rows that were there before stay readable.
            CacheError: the index cannot be written.
        """
        if items:
            needed = sum(map(len, items.values()))
            self._change(lambda index: [index.set(key, row) for key, row in items.items()], needed)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete rows in one transaction; keys that are not there are passed over."""
        if keys:
            self._change(lambda index: [index.delete(key) for key in keys], 0)

    def clear(self) -> None:
        """Delete all rows."""
        keys = self.keys("")
        while part := list(islice(keys, 10_000)):
            self.delete_many(part)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with a prefix."""
        found = self._guard(lambda: self._list(prefix))
        return iter(found)

    def _list(self, prefix: str) -> list[str]:
        if self._empty:
            return []
        if not self._direct:
            return [key for key in self._writer().iterkeys() if key.startswith(prefix)]
        return [key for (key,) in self._reader()(_RANGE, (prefix, prefix + "\U0010ffff"))]

    def __len__(self) -> int:
        """How many rows."""
        if not self._direct:
            return len(self._writer())
        if self._empty:
            return 0
        return int(self._guard(lambda: self._reader()("SELECT COUNT(*) FROM Cache").fetchone()[0]))

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        files = (self._path.with_name(self._path.name + end) for end in ("", "-wal"))
        return sum(path.stat().st_size for path in files if path.exists())

    def close(self) -> None:
        """Close the connections of all threads that read."""
        with self._lock:
            self._epoch += 1
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            if self._index is not None:
                self._index.close()
                self._index = None

    def _change(self, act: Callable[[Any], object], needed: int) -> None:
        if self._read_only:
            raise CacheError(f"cache: {self._folder} is open for reading only")
        with self._lock:
            self._guard(lambda: self._transact(act), needed)

    def _transact(self, act: Callable[[Any], object]) -> None:
        index = self._writer()
        try:
            with index.transact():
                act(index)
        except BaseException:
            index.close()  # a failed COMMIT leaves its transaction open: drop the connection with it
            raise

    def _guard(self, act: Callable[[], _T], needed: int = 0) -> _T:
        """Run something on the index; damage sets it aside and tries once more on a new one."""
        try:
            try:
                return act()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error) or self._read_only:
                    raise
                self._begin_anew(str(error))
                return act()
        except sqlite3.Error as error:
            raise self._named(error, needed) from error
        except Exception as error:
            if type(error).__name__ != "Timeout":  # diskcache's, which reading must not import
                raise
            raise CacheError(f"cache: {self._path} has been locked by another process for 60 s") from error

    def _named(self, error: BaseException, needed: int) -> CacheError:
        reasons = []
        cause: BaseException | None = error
        while cause is not None:  # a failed ROLLBACK hides why it was rolled back
            reasons.append(str(cause))
            cause = cause.__context__
        if any("is full" in reason for reason in reasons):
            return CacheFull(self._path, needed, "database or disk is full")
        return CacheError(f"cache: the index {self._path} cannot be used: {'; '.join(reasons)}")

    def _prepare(self) -> None:
        """Have a usable index: as found, created, or created after setting a bad one aside."""
        fault = self._fault()
        if self._read_only:
            self._empty = fault is not None
            self.notice = fault or None
        elif fault is not None:
            with exclusive(self._folder / "create.lock"):
                fault = self._fault()  # another process may have been first
                if fault:
                    self._set_aside(fault)
                if fault is not None:
                    self._create()
                    self._fault()

    def _fault(self) -> str | None:
        """Why the index cannot be used: None if it can, empty if there is none."""
        if not self._path.exists():
            return ""
        try:
            connection = _connect(self._path)
            try:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                columns = [f"{row[1]} {row[2]}" for row in connection.execute("PRAGMA table_info(Cache)")]
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return f"it is damaged ({error})"
            raise self._named(error, 0) from error
        if version != SCHEMA:
            return f"it is of version {version}, this program writes {SCHEMA}"
        self._direct = tuple(columns) == COLUMNS
        return None

    def _create(self) -> None:
        try:
            self._writer()
            connection = sqlite3.connect(self._path, timeout=60)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.close()
        except sqlite3.Error as error:
            raise self._named(error, 0) from error

    def _begin_anew(self, reason: str) -> None:
        """Replace an index that turned out damaged while in use, unless another process just did."""
        with self._lock:
            self.close()
            with exclusive(self._folder / "create.lock"):
                if self._damaged():
                    self._set_aside(f"it is damaged ({reason})")
            self._prepare()

    def _damaged(self) -> bool:
        try:
            connection = _connect(self._path)
            try:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            return _is_damage(error)

    def _set_aside(self, reason: str) -> None:
        """Move the index out of the way, its log first, so that no log meets a new file."""
        target = self._folder.parent / "quarantine" / f"index.{temp_name()}"
        try:
            target.mkdir(parents=True)
            for end in ("-wal", "-shm", ""):
                part = self._path.with_name(self._path.name + end)
                if part.exists():
                    part.replace(target / part.name)
        except OSError as error:
            raise CacheError(
                f"cache: the index {self._path} cannot be used: {reason}; and it cannot be moved away: "
                f"{error.strerror}. Close other programs that use it, or delete {self._folder}"
            ) from error
        self.notice = f"the index {self._path} was set aside: {reason}"
        _log.warning("cache: %s; it is begun anew and what it held is computed again", self.notice)

    def _reader(self) -> Callable[..., sqlite3.Cursor]:
        """This thread's read-only connection."""
        local, owner = self._local, (self._epoch, os.getpid())
        if getattr(local, "owner", None) != owner:
            connection = _connect(self._path)
            with self._lock:
                self._connections.append(connection)
            local.execute, local.owner = connection.execute, owner
        execute: Callable[..., sqlite3.Cursor] = local.execute
        return execute

    def _writer(self) -> Any:
        with self._lock:
            if self._index is None:
                from flowsynth.cache.disk import open_index

                self._index = open_index(self._folder)
            return self._index


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also where the folder may not be written either."""
    uri = path.absolute().as_uri()
    connection = sqlite3.connect(
        f"{uri}?mode=ro", uri=True, timeout=60, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA user_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if not any(word in str(error) for word in ("unable to open", "readonly")):
            raise
        connection = sqlite3.connect(
            f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
    return connection


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite says that the file itself is bad (a full disk or a lock is no damage)."""
    return type(error) is sqlite3.DatabaseError
