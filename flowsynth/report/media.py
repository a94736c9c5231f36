"""Files that a page shows: inside it as long as there is room, else beside it, or with it in a zip."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from flowsynth.report.pages import Kind, Media

#: What the media inside a page may take, in bytes of their files.
INLINE_BYTES = 25 << 20
#: Suffix -> (how it is shown, its media type): what browsers play.
_TYPES: Mapping[str, tuple[Kind, str]] = {
    ".mp4": ("video", "video/mp4"),
    ".m4v": ("video", "video/mp4"),
    ".webm": ("video", "video/webm"),
    ".mov": ("video", "video/quicktime"),
    ".png": ("image", "image/png"),
    ".apng": ("image", "image/apng"),
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".webp": ("image", "image/webp"),
    ".gif": ("image", "image/gif"),
    ".avif": ("image", "image/avif"),
    ".wav": ("audio", "audio/wav"),
    ".flac": ("audio", "audio/flac"),
    ".mp3": ("audio", "audio/mpeg"),
    ".ogg": ("audio", "audio/ogg"),
    ".opus": ("audio", "audio/ogg"),
    ".m4a": ("audio", "audio/mp4"),
}
_UNKNOWN: tuple[Kind, str] = ("file", "application/octet-stream")


def shown_as(path: Path) -> Kind:
    """How a file is shown, by its suffix."""
    return _TYPES.get(path.suffix.lower(), _UNKNOWN)[0]


@dataclass(slots=True)
class Shelf:
    """Gives files and pictures their addresses on a page.

    Attributes:
        beside: folder that the page lies in; None where files go with it into a zip.
        room: bytes that may still go into the page itself.
        carried: path beside the page -> file that has to be copied there.
        linked: how many files are outside of the page.
    """

    beside: Path | None
    name: str
    room: int = INLINE_BYTES
    carried: dict[str, Path] = field(default_factory=dict)
    linked: int = 0
    _known: dict[Path, str] = field(default_factory=dict)

    def file(self, name: str, path: Path) -> Media:
        """A file, however it can be shown."""
        kind, mime = _TYPES.get(path.suffix.lower(), _UNKNOWN)
        size = path.stat().st_size
        if path not in self._known:
            self._known[path] = self._address(path, mime, size, inline=kind != "file")
        return Media(name, kind, self._known[path], path.name, size)

    def _address(self, path: Path, mime: str, size: int, *, inline: bool) -> str:
        if inline and size <= self.room:
            return self.picture(path.read_bytes(), mime)
        self.linked += 1
        if self.beside is not None:
            near = os.path.relpath(path, self.beside)
            if not near.startswith(".."):
                return quote(PurePosixPath(Path(near)).as_posix())
        place = f"{self.name}_files/{len(self.carried)}_{path.name}"
        self.carried[place] = path
        return quote(place)

    def picture(self, data: bytes, mime: str = "image/jpeg") -> str:
        """The address of a few bytes inside the page."""
        self.room -= len(data)
        return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
