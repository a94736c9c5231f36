"""Downloads from PyPI's own server: where there is no pip, and of archives that pip would run to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.fetch.errors import FetchError, OfflineError

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from flowsynth.fetch.archives import Archive, Progress

_CONNECT_SECONDS = 10
_PYPI = "https://pypi.org/simple"
#: The index as JSON (PEP 691), which mirrors serve too.
_INDEX = "application/vnd.pypi.simple.v1+json"
_SCHEME = "https://"
_CHUNK = 1 << 20
_PARTIAL = 206  # what a server answers that gives the rest of a file
_NO_REST = 416  # what it answers where there is no rest


def download_by_hand(archive: Archive, folder: Path, who: str, progress: Progress | None) -> None:
    """Download an archive into a folder; what a broken download left beside the folder is gone on with.

    Raises:
        OfflineError: No answer.
        FetchError: The package has no such file.
    """
    import urllib.error

    part = folder.parent / f".{archive.sha256[:16]}.part"
    try:
        address = _address(archive, who)
        _save(address, part, progress)
        part.replace(folder / archive.file)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        if getattr(error, "code", None) == _NO_REST:
            part.unlink(missing_ok=True)
        found = f"no answer ({error})"
        raise OfflineError(who, f"{archive.requirement} from {_PYPI}", found) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(who, f"PyPI's description of {archive.requirement}", str(error)) from error


def _address(archive: Archive, who: str) -> str:
    with _open(f"{_PYPI}/{archive.package}/", {"Accept": _INDEX}) as answer:
        files = json.load(answer)["files"]
    for file in files:
        if file["filename"] == archive.file:
            return str(file["url"])
    raise FetchError(who, f"{archive.file} in {archive.requirement}", "no such file there")


def _save(address: str, part: Path, progress: Progress | None) -> None:
    """Append to a file what it lacks; from its start where the server gives no rest."""
    done = part.stat().st_size if part.exists() else 0
    with _open(address, {"Range": f"bytes={done}-"} if done else {}) as answer:
        done = done if answer.status == _PARTIAL else 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if done else "wb") as kept:
            while block := answer.read(_CHUNK):
                done += kept.write(block)
                if progress is not None:
                    progress(done, total)
    if total and done < total:
        raise ConnectionError(f"the connection broke after {done:,} of {total:,} bytes; try again to go on")


def _open(address: str, headers: dict[str, str]) -> HTTPResponse:
    import urllib.request

    if not address.startswith(_SCHEME):
        raise ValueError(f"an address that does not begin with {_SCHEME}: {address}")
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  https only
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=_CONNECT_SECONDS)  # noqa: S310  https only
    return answer
