"""From a source to the content of its files, checked."""

from __future__ import annotations

from pathlib import Path

from flowsynth.fetch.archives import Progress, check_bytes, download, read_member
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.weights.catalogue import ArchiveSource, FolderSource, HubSource, Source, Weights


def obtain(entry: Weights, folder: Path, progress: Progress | None = None) -> dict[str, bytes]:
    """Returns the content of an entry's files by name, from the first source that has them.

    Args:
        entry: Which.
        folder: An empty folder for downloads.
        progress: Told how far a download is.

    Raises:
        OfflineError: No source answers.
        ChecksumError: A source gives other bytes than the catalogue names; no other is tried.
    """
    faults: list[str] = []
    for source in entry.sources:
        found = _try(source, entry, folder, progress)
        if isinstance(found, dict):
            return found
        faults.append(f"{source}: {found}")
    where = " or ".join(str(source) for source in entry.sources) or "a source"
    raise OfflineError(f"weights:{entry.name}", where, "; ".join(faults) or "none named")


def _try(source: Source, entry: Weights, folder: Path, progress: Progress | None) -> dict[str, bytes] | str:
    """Returns the files, or why there are none."""
    try:
        return _from(source, entry, folder, progress)
    except FetchError as error:
        if isinstance(error, ChecksumError):
            raise
        return error.found


def _from(source: Source, entry: Weights, folder: Path, progress: Progress | None) -> dict[str, bytes]:
    who = f"weights:{entry.name}"
    if isinstance(source, ArchiveSource):
        archive = download(source.archive, folder, who, progress)
        return {
            file.name: read_member(archive, f"{source.folder}/{file.name}", file.size, file.sha256, who)
            for file in entry.files
        }
    place = Path(source.path).expanduser() if isinstance(source, FolderSource) else _hub_folder(source, entry)
    return {file.name: _read(place, file.name, file.size, file.sha256, who) for file in entry.files}


def _read(folder: Path, name: str, size: int, sha256: str, who: str) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FetchError(who, f"{path}", error.strerror or "no such file") from error
    check_bytes(data, str(path), size, sha256, who)
    return data


def _hub_folder(source: HubSource, entry: Weights) -> Path:
    """The files in the hub's own cache, which goes on where a broken download ended."""
    from huggingface_hub import hf_hub_download

    prefix = f"{source.folder}/" if source.folder else ""
    who, paths = f"weights:{entry.name}", []
    for file in entry.files:
        try:
            found = hf_hub_download(source.repository, prefix + file.name, revision=source.revision)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise OfflineError(who, str(source), f"{type(error).__name__}: {reason}") from error
        paths.append(Path(found).parents[file.name.count("/")])
    return paths[0]
