"""diskcache's table, spoken to directly: one read or one transaction in a third of the time.

Rows written here are rows as diskcache writes them (mode "raw", no file, its triggers keep its counts), so
diskcache opens the same index. What must hold for that is :data:`COLUMNS`; where it doesn't, the caller goes
through diskcache itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flowsynth.cache import platform

#: In the file's ``user_version``; another number means rows we cannot read.
SCHEMA = 1
#: What the statements here and diskcache must agree on.
COLUMNS = (
    "rowid INTEGER", "key BLOB", "raw INTEGER", "store_time REAL", "expire_time REAL", "access_time REAL",
    "access_count INTEGER", "tag BLOB", "size INTEGER", "mode INTEGER", "filename TEXT", "value BLOB",
)  # fmt: skip
GET = "SELECT value FROM Cache WHERE key = ? AND raw = 1"
_BULK = 500
_MANY = f"SELECT key, value FROM Cache WHERE raw = 1 AND key IN ({','.join('?' * _BULK)})"  # noqa: S608
_RANGE = "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND key < ?"
_PUT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, value)"
    " VALUES (?, 1, ?, ?, 0, 0, 1, ?) ON CONFLICT (key, raw) DO UPDATE SET"
    " store_time = excluded.store_time, size = 0, mode = 1, filename = NULL, value = excluded.value"
)
_DELETE = "DELETE FROM Cache WHERE key = ? AND raw = 1"


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also where the folder may not be written either."""
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("PRAGMA user_version")
    except sqlite3.OperationalError as error:
        connection.close()
        if not any(word in str(error) for word in ("unable to open", "readonly")):
            raise
        connection = _connect(path, "mode=ro&immutable=1")
    return connection


def connect_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes to an index that exists; a commit is not flushed to the platter."""
    connection = _connect(path, "mode=rw")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=platform.LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def tidy(path: Path) -> None:
    """Have SQLite remove the log files that reading left beside an index, unless somebody is using them.

    A connection that may not write can't, so one that may is opened and closed; it never waits for a lock.
    """
    with suppress(sqlite3.Error):
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        finally:
            connection.close()


def describe(path: Path) -> tuple[int, tuple[str, ...], bool]:
    """Version and columns of an index, and whether its maker died before it was ready."""
    connection = connect_reader(path)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        columns = tuple(f"{row[1]} {row[2]}" for row in connection.execute("PRAGMA table_info(Cache)"))
        unready = version == 0 and _has_nothing(connection)
    finally:
        connection.close()
    return version, columns, unready


def _has_nothing(connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "Cache" in tables and connection.execute("SELECT 1 FROM Cache LIMIT 1").fetchone() is not None:
        return False
    return tables <= {"Cache", "Settings", "sqlite_stat1"}


def is_whole(path: Path) -> bool:
    """Whether SQLite finds no damage anywhere in an index."""
    try:
        connection = connect_reader(path)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return not is_damage(error)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite says that the file itself is bad (a full disk or a lock is no damage)."""
    return type(error) is sqlite3.DatabaseError


def read_one(connection: sqlite3.Connection, key: str) -> bytes | None:
    """One row; a row of another type than we write counts as none."""
    found = connection.execute(GET, (key,)).fetchone()
    return found[0] if found is not None and type(found[0]) is bytes else None


def read_many(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, bytes]:
    """All rows there are among some keys."""
    if len(keys) == 1:
        row = read_one(connection, keys[0])
        return {} if row is None else {keys[0]: row}
    rows: dict[str, bytes] = {}
    for start in range(0, len(keys), _BULK):
        part = list(keys[start : start + _BULK])
        part += [part[-1]] * (_BULK - len(part))  # one statement for every length, prepared once
        rows.update(connection.execute(_MANY, part))
    if not set(map(type, rows.values())) <= {bytes}:
        return {key: row for key, row in rows.items() if type(row) is bytes}
    return rows


def read_keys(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """All keys that begin with a prefix."""
    return [key for (key,) in connection.execute(_RANGE, (prefix, prefix + "\U0010ffff"))]


def write_many(connection: sqlite3.Connection, items: Mapping[str, bytes]) -> None:
    """Write rows in one transaction."""
    now = time.time()
    _transact(connection, _PUT, [(key, now, now, row) for key, row in items.items()])


def delete_many(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Delete rows in one transaction."""
    _transact(connection, _DELETE, [(key,) for key in keys])


def _transact(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(statement, rows)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk rolls back by itself
            connection.execute("ROLLBACK")
        raise
