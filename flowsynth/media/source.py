"""Opening media files and reading their packets, with every fault of FFmpeg's named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowsynth.media.errors import (
    DecodeError,
    NotMediaError,
    TruncatedMediaError,
    require_file,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_EBML = b"\x1a\x45\xdf\xa3"  # how Matroska and WebM begin


def open_input(path: str | os.PathLike[str]) -> InputContainer:
    """Opens a media file for reading.

    Raises:
        MediaNotFoundError: No such file.
        NotMediaError: A folder, or not a media file.
        TruncatedMediaError: An MP4 whose index (written at its end) is missing.
    """
    import av

    file = require_file(path, "a video file")
    try:
        # The format is found from the content; `file:` keeps names like "a:b.mp4" from being a protocol.
        return av.open(f"file:{file}", "r", metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        with file.open("rb") as opened:
            head = opened.read(12)
        if head[4:8] == b"ftyp":
            found = "the start of an MP4 whose index is missing: the file is cut off"
            raise TruncatedMediaError(path, "a whole video file", found) from error
        if head[:4] == _EBML:
            found = "the head of a Matroska file without frames: empty or cut off"
            raise TruncatedMediaError(path, "a whole video file", found) from error
        raise NotMediaError(path, "a video file", _describe(head)) from error


def _describe(head: bytes) -> str:
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "text" if head and printable == len(head) else "data in no known media format"


def read_packets(
    container: InputContainer, streams: Any, path: str | os.PathLike[str]
) -> Iterator[Packet[Any]]:
    """Gives the packets of one stream, or of several in file order; the empty ones that end a stream too.

    Raises:
        DecodeError: The container's structure is damaged.
    """
    import av

    try:
        yield from container.demux(streams)
    except (av.FFmpegError, MemoryError) as error:
        raise DecodeError(path, "a whole container", f"damaged data ({error})") from error
