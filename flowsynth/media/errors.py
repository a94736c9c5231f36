"""One named error per fault of a media file, each with one message: path, expected, found."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from flowsynth.core.errors import InputError, RunError


class MediaError(InputError):
    """A fault of a media file or of a request on it.

    Attributes:
        path: The file concerned, as the user gave it.
        expected: What was needed.
        found: What was there instead.
    """

    def __init__(self, path: str | os.PathLike[str], expected: str, found: str) -> None:
        self.path = str(path)
        self.expected = expected
        self.found = found
        super().__init__(f"{self.path}: expected {expected}, found {found}")


class MediaNotFoundError(MediaError):
    """The file does not exist, or its folder does not."""


class NotMediaError(MediaError):
    """The path is a folder, an empty file, or a file of another kind (a text named .mp4)."""


class NoVideoStreamError(MediaError):
    """The file has no moving picture (audio only, or a cover image)."""


class EmptyVideoError(MediaError):
    """The video stream holds no frame."""


class TruncatedMediaError(MediaError):
    """The file ends before the frames that its index promised.

    Attributes:
        frame: The first source frame that is missing, counted from 0; -1 where it can't be known.
    """

    def __init__(self, path: str | os.PathLike[str], expected: str, found: str, frame: int = -1) -> None:
        super().__init__(path, expected, found)
        self.frame = frame


class DecodeError(MediaError):
    """The bytes of a frame are damaged, or its codec is not available."""


class MediaRangeError(MediaError):
    """The asked range, size or rate is empty or lies outside the media."""


class PictureTooLargeError(MediaError):
    """A picture has more pixels than the limit against decompression bombs."""


class MediaWriteError(MediaError):
    """A file could not be written; nothing of it is left behind."""

    exit_code = 1


class EncodeSettingsError(MediaError):
    """Codec, container, size or rate don't go together."""


class SystemLimitError(RunError):
    """The machine is at a limit: memory, open files. The file is not at fault."""


#: What the system calls its limits: descriptors of the process, of the machine, memory.
_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def raise_if_limit(path: str | os.PathLike[str], error: BaseException) -> None:
    """Say of an error that is the machine's what it is, before anybody calls the file damaged.

    Args:
        path: The file that was being read.
        error: What was raised; FFmpeg's errors carry the system's numbers too.

    Raises:
        SystemLimitError: It is a limit of the machine.
    """
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError):
        reason = "no memory is left"
    elif number in _LIMITS:
        reason = os.strerror(number)
    else:
        return
    raise SystemLimitError(f"{path}: cannot be read: {reason}") from error


def require_file(path: str | os.PathLike[str], kind: str) -> Path:
    """Returns ``path`` as a Path if it is a file with content.

    Args:
        path: Path given by the user.
        kind: What is wanted, for the message ("a video file").

    Raises:
        MediaNotFoundError: Nothing is there.
        NotMediaError: A folder, an empty file, or a pipe, a socket or a device, which may never end.
    """
    file = Path(path)
    try:
        found = file.stat()
    except FileNotFoundError:
        parent = file.parent
        reason = "no such file" if parent.is_dir() else f"no folder {parent}"
        raise MediaNotFoundError(path, kind, reason) from None
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise MediaNotFoundError(path, kind, getattr(error, "strerror", None) or str(error)) from None
    if stat.S_ISDIR(found.st_mode):
        raise NotMediaError(path, kind, "a folder")
    if not stat.S_ISREG(found.st_mode):
        raise NotMediaError(path, kind, "a pipe, a socket or a device")
    if found.st_size == 0:
        raise NotMediaError(path, kind, "an empty file")
    return file
