"""What ``flowsynth compare`` is given: videos, pictures, folders of pictures, and runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flowsynth.core.errors import InputError
from flowsynth.core.record import RunRecord
from flowsynth.media.suffixes import PICTURE_SUFFIXES

#: Pictures that may move: read as videos, of a frame where they don't.
_MOVING = (".gif", ".apng", ".webp", ".avifs")


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the two that are compared.

    Attributes:
        path: a video, a picture, or a folder of pictures.
        still: whether it is pictures.
    """

    path: Path
    still: bool


def compared(given: str) -> Compared:
    """What a name stands for: a file, a folder of pictures, or the main output of a run.

    Args:
        given: a path; that of a run's folder, or of its ``run.json``, stands for what the run made.

    Raises:
        InputError: a run without pictures or a video, or a folder without any.
    """
    path = Path(given)
    if path.is_dir() and (path / "run.json").is_file():
        return _made_by(path / "run.json")
    if path.name == "run.json" and path.is_file():
        return _made_by(path)
    if path.is_dir() and not any(file.suffix.lower() in PICTURE_SUFFIXES for file in path.iterdir()):
        raise InputError(
            f"{given}: expected a video, a picture, a folder of pictures or of a run; found a folder without"
        )
    return Compared(path, path.is_dir() or _is_picture(path))


def _made_by(file: Path) -> Compared:
    """The first output of a run that is a video or pictures; pictures that lie together count as one."""
    try:
        record = RunRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError, ValueError):
        raise InputError(f"{file}: cannot be read; expected the record of a run") from None
    for value in record.outputs.values():
        made = file.parent / value if isinstance(value, str) else file.parent
        if made.is_file() and made.suffix.lower() in PICTURE_SUFFIXES and made.parent != file.parent:
            return Compared(made.parent, still=True)
        if made.is_file() and _is_picture(made):
            return Compared(made, still=True)
        if made.is_file() and made.suffix.lower() in (".mp4", ".mkv", ".mov", ".webm", ".avi", *_MOVING):
            return Compared(made, still=False)
    state = record.status
    raise InputError(f"{file.parent}: expected a run that made a video or pictures; found none ({state})")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.suffix.lower() not in _MOVING
