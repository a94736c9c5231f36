"""From an entry of a catalogue to the content of its files, checked."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.paths import user_path
from flowsynth.fetch.archive import Progress
from flowsynth.fetch.catalogue import ArchiveFolder, Entry, Place, RemoteFile
from flowsynth.fetch.download import download
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.fetch.hub import HubError, hub_file
from flowsynth.fetch.members import check_bytes, read_member
from flowsynth.fetch.source import Source


def obtain(entry: Entry, folder: Path, progress: Progress | None = None) -> dict[str, bytes]:
    """Returns the content of an entry's files by name, from the first place that has them.

    Args:
        entry: Which.
        folder: An empty folder for downloads.
        progress: Told how far a download is.

    Raises:
        OfflineError: No place answers.
        FetchError: The only place has no such file.
        ChecksumError: A place gives other bytes than the catalogue names; no other is tried.
    """
    faults: list[FetchError] = []
    for place in entry.places:
        found = _try(place, entry, folder, progress)
        if isinstance(found, dict):
            return found
        faults.append(found)
    if len(faults) == 1:
        raise faults[0]
    where = " or ".join(str(place) for place in entry.places) or "a place to fetch it from"
    why = "; ".join(f"{place}: {e.found}" for place, e in zip(entry.places, faults, strict=True))
    raise OfflineError(entry.who, where, why or "none named")


def _try(
    place: Place, entry: Entry, folder: Path, progress: Progress | None
) -> dict[str, bytes] | FetchError:
    """Returns the files, or why there are none."""
    try:
        return _from(place, entry, folder, progress)
    except FetchError as error:
        if isinstance(error, ChecksumError):
            raise
        return error


def _from(place: Place, entry: Entry, folder: Path, progress: Progress | None) -> dict[str, bytes]:
    if isinstance(place, ArchiveFolder):
        archive = download(place.archive, folder, entry.who, progress)
        return {
            file.name: read_member(archive, f"{place.folder}/{file.name}", file.size, file.sha256, entry.who)
            for file in entry.files
        }
    return {file.name: _checked(_local(place, file, entry.who), file, entry.who) for file in entry.files}


def _local(place: Source, file: RemoteFile, who: str) -> Path:
    """A file's place on this machine, fetched from the hub if need be."""
    name = f"{place.subfolder}/{file.name}" if place.subfolder else file.name
    if not place.hub:
        return user_path(str(place.path)) / name
    try:
        return hub_file(place.hub, str(place.revision), name)
    except HubError as error:
        raise OfflineError(who, f"{place} from the hub", error.reason) from error


def _checked(path: Path, file: RemoteFile, who: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OfflineError(who, str(path), error.strerror or "no such file") from error
    check_bytes(data, str(path), file.size, file.sha256, who)
    return data
