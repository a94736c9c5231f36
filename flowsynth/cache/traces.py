"""Traces: the index from keys to what was found under them, as rows of bytes.

The index is diskcache's: it makes the file and its table, in SQLite's WAL mode. Reading and writing go by
statements of our own on that table (:mod:`flowsynth.cache.rows`), which need no import of diskcache: a read
takes no lock that a writer could wait for. Should the table ever look otherwise, all goes through diskcache.

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

from flowsynth.cache import platform, rows
from flowsynth.cache.errors import CacheError, CacheFull
from flowsynth.cache.objects import make_folder
from flowsynth.cache.platform import exclusive, temp_name

_T = TypeVar("_T")
_log = logging.getLogger("flowsynth.cache")
#: What SQLite says while somebody is just replacing the index: no file yet, or one without its table.
_BEING_REPLACED = ("unable to open", "no such table")


class TraceStore:
    """str keys, bytes values. Any number of threads and processes may use it at once.

    Attributes:
        notice: why an earlier index was set aside, or None.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._folder = Path(folder)
        self._path = self._folder / "cache.db"
        self._read_only = read_only
        self._local = threading.local()
        self._lock = threading.RLock()
        self._readers: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._writer: sqlite3.Connection | None = None
        self._diskcache: Any = None
        self._owner = (0, os.getpid())  # changes when connections must be made anew
        self._empty = False
        self._direct = True
        # Log files that are there already are somebody else's, or hold what a killed process wrote.
        self._tidies = read_only and not self._log_file.exists()
        self.notice: str | None = None
        if not read_only:
            make_folder(self._folder)
        self._prepare()

    def get(self, key: str) -> bytes | None:
        """One row, or None."""
        try:
            local = self._local
            if local.owner != (self._owner[0], os.getpid()):
                raise AttributeError
            row = local.execute(rows.GET, (key,)).fetchone()
            return row[0] if row is not None and type(row[0]) is bytes else None
        except (AttributeError, sqlite3.Error):  # first use in this thread, a fork, or a fault
            return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """All rows there are among some keys; never takes a write lock."""
        return self._guard(lambda: self._read_many(keys))

    def _read_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        if self._empty:
            return {}
        if self._direct:
            return rows.read_many(self._reader(), keys)
        get = self._through_diskcache().get
        return {key: row for key in keys if (row := get(key)) is not None}

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Write rows in one transaction: all of them or none.

        Raises:
            CacheFull: the disk is full; the rows that were there before stay readable.
            CacheError: the index cannot be written.
            TypeError: a key is no str, or a row no bytes.
        """
        for key, row in items.items():
            if type(key) is not str or type(row) is not bytes:
                raise TypeError(f"traces are bytes under str keys, given {row!r:.80} under {key!r:.80}")

        def through_diskcache(index: Any) -> None:
            for key, row in items.items():
                index.set(key, row)

        needed = sum(map(len, items.values()))
        self._change(lambda writer: rows.write_many(writer, items), through_diskcache, needed)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete rows in one transaction; keys that are not there are passed over."""

        def through_diskcache(index: Any) -> None:
            for key in keys:
                index.delete(key)

        self._change(lambda writer: rows.delete_many(writer, keys), through_diskcache, 0)

    def clear(self) -> None:
        """Delete all rows."""
        keys = self.keys("")
        while part := list(islice(keys, 10_000)):
            self.delete_many(part)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with a prefix."""
        return iter(self._guard(lambda: self._list(prefix)))

    def _list(self, prefix: str) -> list[str]:
        if self._empty:
            return []
        if self._direct:
            return rows.read_keys(self._reader(), prefix)
        return [key for key in self._through_diskcache().iterkeys() if key.startswith(prefix)]

    def __len__(self) -> int:
        """How many rows."""
        if self._empty:
            return 0
        if not self._direct:
            return len(self._through_diskcache())
        count = "SELECT COUNT(*) FROM Cache"
        return int(self._guard(lambda: self._reader().execute(count).fetchone()[0]))

    def verify(self) -> bool:
        """Read all of the index; a damaged one is set aside (see ``notice``) and the answer is False."""
        if self._empty or rows.is_whole(self._path):
            return True
        if not self._read_only:
            self._begin_anew("found by a check")
        return False

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        files = (self._path.with_name(self._path.name + end) for end in ("", "-wal"))
        return sum(path.stat().st_size for path in files if path.exists())

    def close(self) -> None:
        """Close the connections, but for those of other threads that are still running.

        SQLite's Python module crashes if a connection is closed under a statement of another thread.
        """
        with self._lock:
            self._owner = (self._owner[0] + 1, os.getpid())
            self._close_readers()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._diskcache is not None:
                self._diskcache.close()
                self._diskcache = None
            if self._tidies and not self._readers and self._log_file.exists():
                rows.tidy(self._path)

    @property
    def _log_file(self) -> Path:
        return self._path.with_name(self._path.name + "-wal")

    def _change(
        self,
        directly: Callable[[sqlite3.Connection], None],
        through_diskcache: Callable[[Any], None],
        needed: int,
    ) -> None:
        """Change rows in one transaction, one thread at a time."""
        if self._read_only:
            raise CacheError(f"cache: {self._folder} is open for reading only")

        def act() -> None:
            if self._direct:
                directly(self._write_connection())
                return
            index = self._through_diskcache()
            try:
                with index.transact():
                    through_diskcache(index)
            except BaseException:
                index.close()  # a failed COMMIT leaves its transaction open: drop the connection with it
                raise

        with self._lock:
            self._guard(act, needed)

    def _guard(self, act: Callable[[], _T], needed: int = 0) -> _T:
        """Run something on the index; damage sets it aside and tries once more on a new one."""
        try:
            try:
                return act()
            except sqlite3.DatabaseError as error:
                if self._read_only:
                    raise
                if rows.is_damage(error):
                    self._begin_anew(str(error))
                elif any(sign in str(error) for sign in _BEING_REPLACED):
                    with self._lock:
                        self._prepare()
                else:
                    raise
                return act()
        except sqlite3.Error as error:
            raise self._named(error, needed) from error
        except Exception as error:
            if type(error).__name__ != "Timeout":  # diskcache's, which this module does not import
                raise
            raise self._named(error, needed) from error

    def _named(self, error: BaseException, needed: int) -> CacheError:
        reasons = []
        cause: BaseException | None = error
        while cause is not None:  # a failed ROLLBACK hides why it was rolled back
            reasons.append(str(cause))
            cause = cause.__context__
        if any("is full" in reason for reason in reasons):
            return CacheFull(self._path, needed, "database or disk is full")
        if any("locked" in reason for reason in reasons):
            seconds = platform.LOCK_SECONDS
            return CacheError(f"cache: {self._path} has been locked by another process for {seconds:g} s")
        return CacheError(f"cache: the index {self._path} cannot be used: {'; '.join(filter(None, reasons))}")

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
            version, columns, unready = rows.describe(self._path)
        except sqlite3.DatabaseError as error:
            if rows.is_damage(error):
                return f"it is damaged ({error})"
            raise self._named(error, 0) from error
        if unready:
            return ""
        if version != rows.SCHEMA:
            return f"it is of version {version}, this program writes {rows.SCHEMA}"
        self._direct = columns == rows.COLUMNS
        return None

    def _create(self) -> None:
        try:
            self._through_diskcache().close()
            connection = rows.connect_writer(self._path)
            connection.execute(f"PRAGMA user_version = {rows.SCHEMA}")
            connection.close()
        except sqlite3.Error as error:
            raise self._named(error, 0) from error

    def _begin_anew(self, reason: str) -> None:
        """Replace an index that turned out damaged while in use, unless another process just did."""
        with self._lock:
            self.close()
            with exclusive(self._folder / "create.lock"):
                if not rows.is_whole(self._path):
                    self._set_aside(f"it is damaged ({reason})")
            self._prepare()

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

    def _reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        local, owner = self._local, (self._owner[0], os.getpid())
        if getattr(local, "owner", None) != owner:
            connection = rows.connect_reader(self._path)
            with self._lock:
                self._close_readers()
                self._readers.append((threading.current_thread(), connection))
            local.connection, local.execute, local.owner = connection, connection.execute, owner
        found: sqlite3.Connection = local.connection
        return found

    def _close_readers(self) -> None:
        """Close the reading connections of this thread and of threads that have ended."""
        me = threading.current_thread()
        running = [pair for pair in self._readers if pair[0] is not me and pair[0].is_alive()]
        for pair in self._readers:
            if pair not in running:
                pair[1].close()
        self._readers = running

    def _write_connection(self) -> sqlite3.Connection:
        """The connection for writing, shared by the threads under the lock."""
        if self._writer is None or self._owner[1] != os.getpid():
            self._owner = (self._owner[0], os.getpid())
            self._writer = rows.connect_writer(self._path)
        return self._writer

    def _through_diskcache(self) -> Any:
        with self._lock:
            if self._diskcache is None:
                from flowsynth.cache.disk import open_index

                self._diskcache = open_index(self._folder)
            return self._diskcache
