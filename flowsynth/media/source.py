"""Opening media files and reading their packets, with every fault of FFmpeg's named."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.media.errors import (
    DecodeError,
    NotMediaError,
    TruncatedMediaError,
    raise_if_limit,
    require_file,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

#: Kinds of files that name others, or patterns of names: what they read is no part of a key, and may lie
#: anywhere. Devices are never found from content.
_NAME_OTHERS = frozenset(
    {
        *("hls", "dash", "concat", "sdp", "rtsp", "rtp", "sap", "webm_dash_manifest"),
        *("image2", "mlv", "vobsub", "imf", "svg_pipe", "avisynth", "vapoursynth", "lavfi"),
    }
)
#: How such files begin, where that is known.
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"v=0", b"# VobSub", b"[playlist]", b"[Reference]")
#: Bytes that can be had unless memory has run out.
_SPARE = 64 << 20
_BOM = b"\xef\xbb\xbf"
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
    head = _head(path, file)
    if _is_list(head):
        raise NotMediaError(path, "a video file", _describe(head))
    try:
        return open_container(file)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        if not _claims_too_much(error):
            raise_if_limit(path, error)
        if head[4:8] == b"ftyp":
            found = "the start of an MP4 whose index is missing: the file is cut off"
            raise TruncatedMediaError(path, "a whole video file", found) from error
        if head[:4] == _EBML:
            found = "the head of a Matroska file without frames: empty or cut off"
            raise TruncatedMediaError(path, "a whole video file", found) from error
        raise NotMediaError(path, "a video file", _describe(head)) from error


def _head(path: str | os.PathLike[str], file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(64)
    except OSError as error:
        raise_if_limit(path, error)
        raise NotMediaError(path, "a file that may be read", error.strerror or str(error)) from error


def open_container(file: Path) -> InputContainer:
    """Opens a file by FFmpeg, which reads that file and no other.

    The format is found from the content; ``file:`` keeps names like "a:b.mp4" from being a protocol. A
    picture called "a%d.png" would be a pattern of names, so it is handed over without its name.

    Raises:
        FFmpegError: No media file, or one that names others.
    """
    import av

    options = {"format_whitelist": _formats(), "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{file}", "r", options=options, metadata_errors="replace")
    except av.ArgumentError:
        if "%" not in file.name:
            raise
        return av.open(io.BytesIO(file.read_bytes()), "r", options=options, metadata_errors="replace")


@cache
def _formats() -> str:
    import av

    return ",".join(sorted(av.formats_available - _NAME_OTHERS))


def _is_list(head: bytes) -> bool:
    return head.removeprefix(_BOM).lstrip().startswith(_PLAYLISTS)


def _describe(head: bytes) -> str:
    if _is_list(head):
        return "a list of other files (name one of them, or join several by the operator concat)"
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
        if not _claims_too_much(error):
            raise_if_limit(path, error)
        raise DecodeError(path, "a whole container", f"damaged data ({error})") from error


def _claims_too_much(error: BaseException) -> bool:
    """Whether a file claims what no memory holds, which FFmpeg calls a lack of it."""
    if getattr(error, "errno", None) != errno.ENOMEM:
        return False
    try:
        bytearray(_SPARE)
    except MemoryError:
        return False
    return True
