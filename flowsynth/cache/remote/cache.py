"""A cache folder with a place behind it that other machines read and write, too.

What is not here is looked for there; what is found becomes a row or an object here, so that all works without
the place afterwards. What is recorded here is copied there by a thread of its own. Leases stay local: two
machines may compute one thing at once, and the later copy takes the place of the same bytes.

Which rows are not copied yet stands in the index, by the transaction that writes them: a process that is
killed leaves them to the next one with this place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from flowsynth.cache.container import Rows, StoredObject
from flowsynth.cache.errors import CacheError
from flowsynth.cache.remote.folder import FolderPlace
from flowsynth.cache.remote.place import Got, Place, PlaceError, object_name, row_name
from flowsynth.cache.remote.sender import Sender
from flowsynth.cache.remote.tier import Remote, unusable
from flowsynth.cache.remote.together import together
from flowsynth.cache.store import Cache
from flowsynth.core.canonical import digest_text
from flowsynth.core.errors import RequestError

#: How long the end of a run waits before it says so.
PATIENCE_SECONDS = 1.0
_STRIPES = 64
_LEFT_AT_ONCE = 500


class SharedCache(Cache):
    """A cache folder, open, with a place behind it.

    Attributes:
        remote: the place.
        fetched: how many objects came from there, and their bytes.
    """

    def __init__(
        self, root: Path | str, remote: Remote, *, max_bytes: int | None = None, read_only: bool = False
    ) -> None:
        """Open or create a cache.

        Args:
            root: the folder.
            remote: the place behind it, ready for use.
            max_bytes: budget of the objects here; None for no limit.
            read_only: look only, here and there.

        Raises:
            CacheError: the folder cannot be used.
        """
        super().__init__(root, max_bytes=max_bytes, read_only=read_only)
        self.remote = remote
        self.fetched = [0, 0]
        self._far: set[str] = set()
        self._left = 0
        self._held: dict[str, bytes] = {}
        self._landing = [threading.Lock() for _ in range(_STRIPES)]
        self._mark = f"unsent:{digest_text(remote.address)[:16]}:"
        self._sender = None if self.read_only else Sender(remote, _Outbox(self, self._mark))

    # --- rows -------------------------------------------------------------------------------------------

    def lookup(self, key: str) -> bytes | None:
        """The row of a key, here or there."""
        row = super().lookup(key)
        return self._far_rows([key]).get(key) if row is None else row

    def lookup_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The rows there are among some keys, here or there."""
        found = super().lookup_many(keys)
        missing = [key for key in keys if key not in found]
        return {**found, **self._far_rows(missing)} if missing else found

    def _far_rows(self, keys: Sequence[str]) -> dict[str, bytes]:
        found = {key: self._held[key] for key in keys if key in self._held}
        asked = [key for key in dict.fromkeys(keys) if key not in found and self.remote.may_have(key)]
        come = {key: row for key, row in together(self.remote.row, asked) if row is not None}
        if come:
            self._far.update(come)
            self._keep(come)
        return {**found, **come}

    def _keep(self, rows: Mapping[str, bytes]) -> None:
        """Have rows here from now on: in the index, or where that cannot be, in memory."""
        try:
            self.traces.put_many(rows)
        except CacheError:
            self._held.update(rows)

    def is_far(self, key: str) -> bool:
        """Whether the row under a key came from the place, in this process."""
        return key in self._far

    def _queue(self, key: str, row: bytes) -> None:
        super()._queue(key, row)
        if row_name(key) is not None and not self.remote.denied:
            self._pending[self._mark + key] = b""

    def _committed(self, batch: Mapping[str, bytes]) -> None:
        if self._sender is not None:
            self._sender.add({k: batch[k] for k in batch if row_name(k) is not None})

    # --- objects ----------------------------------------------------------------------------------------

    def has_object(self, key: str) -> bool:
        """Whether an object is here, or said to be there."""
        return super().has_object(key) or self.remote.has(key)

    def is_sound(self, key: str) -> bool:
        """Whether a stored value is here and undamaged, fetched first if it is not here."""
        return super().is_sound(key) or self.get_object(key) is not None

    def get_object(self, key: str, rows: Rows | None = None) -> StoredObject | None:
        """Map a stored value, fetched first if it is not here; None: nowhere, or damaged."""
        found = super().get_object(key, rows)
        if found is not None or object_name(key) is None:
            return found
        with self._landing[int(key[:8], 16) % _STRIPES]:  # once for all threads
            return super().get_object(key, rows) or self.remote.object(
                key, lambda got: self._landed(key, got)
            )

    def _landed(self, key: str, got: Got) -> StoredObject:
        found, _ = self._land(key, got.size, got.parts)
        self.fetched[0] += 1
        self.fetched[1] += got.size
        return found

    def fetch(self, keys: Sequence[str]) -> None:
        """Have objects here that are soon opened, several at once."""
        together(self.get_object, [key for key in dict.fromkeys(keys) if not self.objects.has(key)])

    # --- the end ----------------------------------------------------------------------------------------

    def settle(self, seconds: float, say: Callable[[str], None]) -> None:
        """Wait until all that was recorded is copied; Ctrl-C ends the waiting, not the run."""
        if self._sender is None:
            return
        self.commit()
        try:
            if not self._sender.wait(min(seconds, PATIENCE_SECONDS)):
                say(
                    f"copies {self._sender.unsent} result(s) to {self.remote.address}; Ctrl-C leaves the rest"
                )
                self._sender.wait(seconds - PATIENCE_SECONDS)
        except KeyboardInterrupt:
            pass  # all is computed: its files are yet to be written
        self._left = self._sender.unsent

    def said(self) -> list[str]:
        """What the user should know: also of the place."""
        notes, where = super().said(), self.remote.address
        rows = sum(":" not in key for key in self._far)
        if (rows or self.fetched[0]) and not self.read_only:
            count, nbytes = self.fetched
            notes.append(f"from {where}: {rows} result(s), {count} object(s) of {nbytes:,} bytes")
        if self.remote.damaged:
            count = len(self.remote.damaged)
            notes.append(f"{count} damaged file(s) in {where} were not used, and are replaced")
        if self.remote.fault:
            notes.append(f"{where} did not answer ({self.remote.fault}); the run went on without it")
        if self.remote.denied:
            notes.append(f"{where} may not be written ({self.remote.denied}); results were only read from it")
        elif self._left:
            notes.append(f"{self._left} result(s) are not in {where} yet; the next run with it sends them")
        return notes

    def close(self) -> None:
        """End the copying, as it is, and close the cache."""
        if self._sender is not None:
            self._sender.stop()
        super().close()


class _Outbox:
    """What of a cache is yet to be copied."""

    def __init__(self, cache: Cache, mark: str) -> None:
        self._cache, self._mark = cache, mark
        self.file_bytes = cache.objects.file_bytes

    def left(self) -> Iterator[Mapping[str, bytes]]:
        """Rows that are marked, as they are now."""
        traces = self._cache.traces
        keys = [mark.removeprefix(self._mark) for mark in traces.keys(self._mark)]
        for start in range(0, len(keys), _LEFT_AT_ONCE):
            part = keys[start : start + _LEFT_AT_ONCE]
            rows = traces.get_many(part)
            if gone := [key for key in part if key not in rows]:
                self.sent(gone)
            yield rows

    def sent(self, keys: Collection[str]) -> None:
        """Take the marks away."""
        self._cache.traces.delete_many([self._mark + key for key in keys])


def open_shared(
    root: Path | str, address: str, *, max_bytes: int | None = None, read_only: bool = False
) -> SharedCache:
    """Open a cache folder with the place of an address behind it.

    Args:
        root: the folder.
        address: of the place, as `parse_remote` gives it.
        max_bytes: budget of the objects here.
        read_only: look only.

    Raises:
        RequestError: the place cannot be used.
        CacheError: the folder cannot be used.
    """
    remote = Remote(_place(address, read_only), address)
    together(remote.begin, [read_only])  # so that Ctrl-C need not wait for a server
    return SharedCache(root, remote, max_bytes=max_bytes, read_only=read_only)


def _place(address: str, read_only: bool) -> Place:
    scheme, _, rest = address.partition("://")
    if scheme != "file":
        return _bucket(scheme, address)
    try:
        return FolderPlace(Path(rest), make=not read_only)
    except PlaceError as error:
        raise unusable(address, error) from None


def _bucket(scheme: str, address: str) -> Place:
    """A bucket by obstore, else by fsspec's client for it.

    Raises:
        RequestError: neither is installed.
    """
    from flowsynth.cache.remote.filesystem import CLIENTS, FilesystemPlace

    if find_spec("obstore"):
        from flowsynth.cache.remote.bucket import BucketPlace

        return BucketPlace(address)
    if find_spec(CLIENTS[scheme]):
        return FilesystemPlace(address)
    raise RequestError(
        f"cache.remote: {scheme}:// goes by obstore: pip install 'flowsynth-engine[remote]';"
        f" or by fsspec, where {CLIENTS[scheme]} is installed"
    )
