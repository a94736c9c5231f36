"""The cache as the engine sees it: traces, objects, leases and a budget in one folder."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from flowsynth.cache.container import Rows, StoredObject
from flowsynth.cache.errors import CacheError, CacheFolderError
from flowsynth.cache.eviction import Evicted, Eviction
from flowsynth.cache.folder import (
    is_unwritable,
    prepare_folder,
    remove_waste,
    require_folder_name,
    waste_files,
)
from flowsynth.cache.landing import land
from flowsynth.cache.leases import Leases
from flowsynth.cache.objects import ObjectInfo, ObjectStore
from flowsynth.cache.previews import Previews
from flowsynth.cache.scratch import remove_left
from flowsynth.cache.traces import TraceStore
from flowsynth.core.codec import Encoded, Value

_log = logging.getLogger("flowsynth.cache")

#: A row is committed at once when this much compute would be lost with it and its like.
COMMIT_SECONDS = 1e-3
#: Cheaper rows wait for each other: this many, or this long.
COMMIT_ROWS = 200
COMMIT_WAIT = 0.02


class Cache:
    """A cache folder, open. Several threads may call it at once, and several processes may open it.

    Attributes:
        root: the folder.
        traces: the index of results by key.
        objects: the store of values by content.
        previews: small pictures of values, which eviction leaves alone.
        spool: files of values that wait for the end of a run.
        leases: who computes what; usable only when not opened for reading only.
        live: object keys of the running graph, which eviction leaves alone; see :meth:`release`.
        refused: how many objects found no room in the budget.
    """

    leases: Leases

    def __init__(self, root: Path | str, *, max_bytes: int | None = None, read_only: bool = False) -> None:
        """Open or create a cache.

        Args:
            root: the folder.
            max_bytes: budget of the objects; None for no limit.
            read_only: look only: no lock, no file, no folder is made. So it is too where nobody may write.

        Raises:
            CacheError: the folder cannot be used.
        """
        self.root = require_folder_name(root).expanduser().absolute()
        self.read_only = read_only = read_only or is_unwritable(self.root)
        self.live: set[str] = set()
        self.refused = 0
        try:
            if not read_only:
                prepare_folder(self.root)
                self.leases = Leases(self.root / "leases")
                remove_left(self.root, self.leases)
            self.objects = ObjectStore(self.root, read_only)
            self.spool = self.objects.spool
            self.previews = Previews(self.root, read_only)
            self.traces = TraceStore(self.root / "index", read_only)
        except OSError as error:
            reason = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
            raise CacheFolderError(f"cache: {self.root} cannot be used ({reason})") from error
        self._eviction = Eviction(self.objects, max_bytes)
        self._pending: dict[str, bytes] = {}
        self._committing: dict[str, bytes] = {}
        self._owed = 0.0
        self._since = 0.0
        self._lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._wake = threading.Event()
        self._flusher: threading.Thread | None = None
        self._closed = False

    def lookup(self, key: str) -> bytes | None:
        """The row of a key, committed or not yet; None when there is none."""
        row = self._pending.get(key)
        if row is None:
            row = self._committing.get(key)  # filled before rows leave the pending ones
        return self.traces.get(key) if row is None else row

    def lookup_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The rows there are among some keys, in one read."""
        waiting = {key: row for key in keys if (row := self._waiting(key)) is not None}
        if not waiting:
            return self.traces.get_many(keys)
        found = self.traces.get_many([key for key in keys if key not in waiting])
        return {**found, **waiting}

    def _waiting(self, key: str) -> bytes | None:
        row = self._pending.get(key)
        return self._committing.get(key) if row is None else row

    def has_object(self, key: str) -> bool:
        """Whether an object is there (its bytes are checked when it is opened)."""
        return self.objects.has(key)

    def record(self, key: str, row: bytes, seconds: float) -> None:
        """Queue a finished node's row; its lease, if held, is given back after the commit.

        It is committed on return when a millisecond or more of compute is uncommitted, else with others:
        after 20 ms or 200 rows, or at :meth:`commit`.

        Args:
            key: the node's key.
            row: its trace.
            seconds: what it cost to compute.

        Raises:
            CacheFull: the disk is full; the row is kept and tried again at the next commit.
            CacheError: the index cannot be written.
        """
        if self.read_only:
            raise CacheError(f"cache: {self.root} is open for reading only")
        with self._lock:
            first = not self._pending
            if first:
                self._since = time.monotonic()
            self._queue(key, row)
            self._owed += seconds
            due = (
                self._owed >= COMMIT_SECONDS
                or len(self._pending) >= COMMIT_ROWS
                or time.monotonic() - self._since >= COMMIT_WAIT
            )
        if due:
            self.commit()
        elif first:
            self._start_flusher()

    def _queue(self, key: str, row: bytes) -> None:
        """Have a row written with the next commit."""
        self._pending[key] = row

    def commit(self) -> None:
        """Write all queued rows in one transaction and give their leases back.

        Raises:
            CacheFull: the disk is full; the rows stay queued.
            CacheError: the index cannot be written.
        """
        if not self._pending and not self._committing:
            return
        with self._commit_lock:
            with self._lock:
                batch, owed = self._pending, self._owed
                self._committing = batch
                self._pending, self._owed = {}, 0.0
            try:
                self.traces.put_many(batch)
            except BaseException:
                with self._lock:
                    self._pending = {**batch, **self._pending}
                    self._owed += owed
                raise
            finally:
                self._committing = {}
            if batch:
                self.leases.release(batch)
                self._committed(batch)

    def _committed(self, batch: dict[str, bytes]) -> None:
        """Rows were written."""

    def _start_flusher(self) -> None:
        """See that rows are committed after 20 ms though nobody calls."""
        self._wake.set()
        with self._lock:
            if self._flusher is None and not self._closed:
                self._flusher = threading.Thread(target=self._flush, name="cache-flush", daemon=True)
                self._flusher.start()

    def _flush(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            time.sleep(COMMIT_WAIT)
            try:
                self.commit()
            except CacheError as error:  # the rows stay queued: the next record or close() raises it
                _log.debug("cache: background commit failed: %s", error)

    def put_object(self, key: str, value: Value | StoredObject, seconds: float = 0.0) -> int | None:
        """Store a value under its content's hash; returns its bytes on disk, or None: refused.

        Args:
            key: hash of the content.
            value: a value with a codec, or one encoded already, as a :class:`StoredObject`.
            seconds: what it cost to compute.

        Raises:
            CacheFull: the disk is full.
            CacheError: the folder cannot be written.
        """
        encoded: Encoded = value.encoded if isinstance(value, StoredObject) else value.encode()
        there = self.objects.size(key)
        if there is not None:
            self.objects.touch(key)  # computed again, hence in use
        coming = max(0, encoded.nbytes - (there or 0))
        if not self._eviction.admit(coming, self.live):
            self.refused += 1
            return None
        self.live.add(key)
        written = 0
        try:
            written = self.objects.put(key, value.codec_name, value.codec_version, encoded, seconds)
            return written
        finally:
            self._eviction.settle(coming, max(0, written - (there or 0)))

    def get_object(self, key: str, rows: Rows | None = None) -> StoredObject | None:
        """Map a stored value, or None: not there, or damaged (see ``objects.quarantined``).

        Args:
            key: hash of the content.
            rows: first frame and one past the last that are needed: others may be left out.
        """
        found = self.objects.get(key, rows)
        if found is not None:
            self._use(key)
        return found

    def is_sound(self, key: str) -> bool:
        """Whether a stored value is there and undamaged; it counts as used, as by :meth:`get_object`."""
        found = self.objects.header(key) is not None
        if found:
            self._use(key)
        return found

    def _use(self, key: str) -> None:
        if key not in self.live:
            self.live.add(key)
            if not self.read_only:
                self.objects.touch(key)

    def fetch(self, keys: Sequence[str]) -> None:
        """Have objects here that are soon opened, as far as they are to be had: several at once."""

    def settle(self, seconds: float, say: Callable[[str], None]) -> None:
        """Wait for what is done behind the run's back.

        Args:
            seconds: so long at most.
            say: tells the user of it, if it takes a while.
        """

    def is_far(self, key: str) -> bool:  # noqa: ARG002  where nothing is shared
        """Whether the row under a key comes from another machine's cache."""
        return False

    def said(self) -> list[str]:
        """What the user should know of the cache: an index set aside, damaged objects, no room."""
        notes = [self.traces.notice] if self.traces.notice else []
        if self.objects.quarantined:
            count = len(self.objects.quarantined)
            notes.append(f"{count} damaged object(s) in the cache were set aside and made again where needed")
        if self.refused:
            notes.append(f"{self.refused} result(s) found no room in the cache's budget (cache.max_bytes)")
        return notes

    @property
    def max_bytes(self) -> int | None:
        """Budget of the objects; None for no limit."""
        return self._eviction.max_bytes

    def take_in(self, key: str, data: memoryview) -> bool:
        """Store an object that another cache has, from the bytes of its file; whether there was room.

        Raises:
            FormatError: it is damaged, or another object.
            CacheFull: the disk is full.
            CacheError: the folder cannot be written.
        """
        return self._land(key, data.nbytes, [data])[1]

    def _land(self, key: str, size: int, parts: Iterable[bytes | memoryview]) -> tuple[StoredObject, bool]:
        """Store an object that comes from elsewhere, if there is room; the object, and whether there was."""
        kept, written = False, 0

        def admit(nbytes: int) -> bool:
            nonlocal kept
            kept = self._eviction.admit(nbytes, self.live)
            self.refused += not kept
            return kept

        self.live.add(key)
        try:
            found = land(self.objects, key, size, parts, admit)
            written = size
        finally:
            if kept:
                self._eviction.settle(size, written)
        return found, kept

    def release(self, keys: Sequence[str] | None = None) -> None:
        """Let eviction have objects of this run again: some, or all."""
        if keys is None:
            self.live.clear()
        else:
            self.live.difference_update(keys)

    def stats(self) -> dict[str, int]:
        """Counts and bytes of everything in the folder."""
        infos = list(self.objects.scan())
        waste = list(waste_files(self.root))
        return {
            "traces": len(self.traces) + len(self._pending),
            "trace_bytes": self.traces.nbytes,
            "objects": len(infos),
            "object_bytes": sum(info.nbytes for info in infos),
            "max_bytes": self._eviction.max_bytes or 0,
            "quarantined": len(waste),
            "quarantined_bytes": sum(path.lstat().st_size for path in waste),
        }

    def ls(self) -> Iterator[ObjectInfo]:
        """All objects."""
        return self.objects.scan()

    def prune(self, max_bytes: int | None = None) -> Evicted:
        """Bring the objects down to a number of bytes (or the budget), and empty the quarantine."""
        remove_waste(self.root)
        self.previews.prune()
        limit = self._eviction.max_bytes if max_bytes is None else max_bytes
        return Evicted(0, 0) if limit is None else self._eviction.prune(limit, self.live)

    def verify(self) -> list[str]:
        """Read every byte of every object; returns the damaged ones' keys, now in quarantine.

        The index is checked too; a damaged one is set aside, as ``traces.notice`` then says.
        """
        self.traces.verify()
        return self.objects.verify()

    def clear(self) -> None:
        """Delete all traces and objects; other processes simply find nothing any more."""
        self.commit()
        self.traces.clear()
        for info in self.objects.scan():
            self.objects.remove(info.key)
        self.previews.prune(0)
        remove_waste(self.root)
        self.live.clear()

    def close(self) -> None:
        """Commit what is queued, give back all leases and close the index.

        Raises:
            CacheFull: the last rows found no room; everything is closed all the same.
        """
        if self._closed:
            return
        try:
            self.commit()
        finally:
            self._closed = True
            self._wake.set()
            if self._flusher is not None:
                self._flusher.join()
            self.traces.close()
            if not self.read_only:
                self.leases.close()

    def __enter__(self) -> Cache:
        """The cache itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
