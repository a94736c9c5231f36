"""Which of a file's streams is meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flowsynth.media.errors import DecodeError, MediaRangeError, NotMediaError, NoVideoStreamError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

#: A stream by its place among those of its kind, from 0, or by its language ("eng"); None chooses.
Wanted = int | str | None


def choose_video(
    container: InputContainer, path: str | os.PathLike[str], wanted: Wanted = None
) -> VideoStream:
    """Returns the video stream that is meant; cover pictures and thumbnails are none.

    Without a wish it is one that is marked as the default, if any is; of several the one with the most
    pixels, and of equal ones the first.

    Raises:
        NoVideoStreamError: There is none, or not the wanted one.
        DecodeError: There is one whose codec is unknown here.
    """
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams: list[Any] = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        raise _without_video(container, path)
    if wanted is not None:
        chosen = _wanted(streams, wanted, path, "video")
    else:
        default = [stream for stream in streams if stream.disposition & Disposition.default]
        chosen = max(default or streams, key=_area)
    # Typed as always there; None for a codec this build of FFmpeg has no decoder for.
    if chosen.codec_context is None:
        raise DecodeError(path, "a codec that FFmpeg decodes", "an unknown one")
    return chosen  # type: ignore[no-any-return]


def choose_audio(
    container: InputContainer, path: str | os.PathLike[str], wanted: Wanted = None
) -> AudioStream:
    """Returns the sound stream that is meant: the wanted one, else the default one, else the first.

    Raises:
        MediaRangeError: There is none, or not the wanted one.
        DecodeError: There is one whose codec is unknown here.
    """
    from av.stream import Disposition

    streams: list[Any] = list(container.streams.audio)
    if not streams:
        raise MediaRangeError(path, "a file with sound", "no audio stream")
    default = [stream for stream in streams if stream.disposition & Disposition.default]
    chosen = (default or streams)[0] if wanted is None else _wanted(streams, wanted, path, "audio")
    if chosen.codec_context is None:
        raise DecodeError(path, "a codec that FFmpeg decodes", "an unknown one")
    return chosen  # type: ignore[no-any-return]


def _area(stream: Any) -> int:
    context = stream.codec_context
    return 0 if context is None else context.width * context.height


def _wanted(streams: list[Any], wanted: int | str, path: str | os.PathLike[str], kind: str) -> Any:
    for place, stream in enumerate(streams):
        if wanted == place or (isinstance(wanted, str) and wanted == stream.language):
            return stream
    known = ", ".join(_named(place, stream) for place, stream in enumerate(streams))
    article = "an" if kind == "audio" else "a"
    raise NoVideoStreamError(path, f"{article} {kind} stream {wanted!r}", f"the {kind} streams {known}")


def _named(place: int, stream: Stream) -> str:
    return f"{place} ({stream.language})" if stream.language else str(place)


def _kind(stream: Stream) -> str:
    return "a cover picture" if stream.type == "video" else str(stream.type)


def _without_video(container: InputContainer, path: str | os.PathLike[str]) -> Exception:
    kinds = sorted({_kind(stream) for stream in container.streams})
    if container.format.name in ("tty", "srt", "webvtt", "ass", "data"):
        return NotMediaError(path, "a video file", "text")
    found = f"only {', '.join(kinds)}" if kinds else "none"
    return NoVideoStreamError(path, "a file with a video stream", found)
