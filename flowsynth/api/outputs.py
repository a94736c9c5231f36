"""From values to files: what a run delivers into its output folder, each file with its provenance inside."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowsynth.cache.platform import remove_file, sweep, temp_name
from flowsynth.core.errors import RequestError, RunError

#: One of a series of pictures, such as ``000017.png``.
_NUMBERED = re.compile(r"(.*?)([0-9]{3,})(\.[a-z0-9]+)")
#: Characters of a file's name before its suffix; file systems take 255 bytes in all.
LONGEST_STEM = 100


def require_folder(folder: Path | str) -> None:
    """See that a run can write into a folder, which may be yet to be made, before it computes in vain.

    Raises:
        RequestError: it cannot.
    """
    path = Path(folder).absolute()
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
        fault = _fault(there)
        reason = fault and f"{'that' if there == path else there} is {fault}"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise RequestError(f"output_dir: expected a folder to write to; given {path}: {reason}")


def _fault(place: Path) -> str:
    if not place.is_dir():
        return "a file"
    if not os.access(place, os.W_OK | os.X_OK):
        return "not writable"
    try:
        Path(tempfile.mkdtemp(prefix=".flowsynth-", dir=place)).rmdir()  # some answer only who tries
    except OSError as error:
        return f"not writable ({error.strerror or error})"
    return ""


def tidy(folder: Path) -> None:
    """Take away the beginnings of files that killed runs left in a folder; once, not for every file."""
    sweep(folder, hidden=True)


def write_atomic(path: Path, data: bytes | memoryview | Iterable[bytes]) -> None:
    """Write a file so that it is there whole or not at all; its bytes may come in parts.

    Raises:
        RunError: the folder cannot be written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{temp_name()}")
        try:
            with temporary.open("xb") as file:
                file.writelines([data] if isinstance(data, (bytes, memoryview)) else data)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            remove_file(temporary)
            raise
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def _alike(stem: str) -> str:
    """The same for names that are one file's on disks that know neither case nor the forms of Unicode."""
    return unicodedata.normalize("NFC", stem.casefold())


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """A name for the file of every output: no two share one, not even where case does not count.

    Args:
        names: the outputs, as ``node``, ``stage/node`` or ``node.port``.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = name.replace("/", "_").removesuffix(".out").replace(".", "_")[:LONGEST_STEM]
        stem, count = plain, 2
        while _alike(stem) in taken:
            stem, count = f"{plain}_{count}", count + 1
        taken.add(_alike(stem))
        stems[name] = stem
    return stems


def deliver(value: Any, stem: str, folder: Path, provenance: str) -> Any:
    """Write one output; JSON is returned as it is.

    Args:
        value: the value.
        stem: the name of the output's file, or folder, without a suffix.
        folder: where to write; nothing is written outside of it.
        provenance: JSON text to put inside the file.

    Returns:
        The path relative to the folder (the first of several), or the JSON value.

    Raises:
        RunError: the file cannot be written.
    """
    if not hasattr(value, "codec_name"):
        return value
    return WRITERS.get(value.codec_name, _tensors)(value, stem, folder, provenance)


def _video(value: Any, stem: str, folder: Path, provenance: str) -> str:
    path = folder / f"{stem}{value.suffix}"
    write_atomic(path, value.data)
    _embed(path, provenance)
    return path.name


def _file_set(value: Any, stem: str, folder: Path, provenance: str) -> str:
    target = folder / stem
    names = sorted(value.files)
    tidy(target)
    for name in names:
        path = (target / name).resolve()
        if not path.is_relative_to(target.resolve()):
            raise RunError(f"{stem}: a file named {name!r} would be written outside of the output folder")
        write_atomic(path, value.files[name])
        _embed(path, provenance)
    _clear_rest(target, names)
    return f"{stem}/{names[0]}" if names else stem


def _series(name: str) -> tuple[str, int, str] | None:
    """What a numbered file has in common with the others of its series; None for a name without a number."""
    part = _NUMBERED.fullmatch(name)
    return None if part is None else (part[1], len(part[2]), part[3])


def _clear_rest(folder: Path, names: Sequence[str]) -> None:
    """Take away the pictures of a longer series that was written here before: they are none of this one."""
    series = {_series(name) for name in names} - {None}
    for path in sorted(folder.iterdir()) if series and folder.is_dir() else ():
        if _series(path.name) in series and path.name not in names and path.is_file():
            path.unlink()


def series_of(first: Path) -> list[Path]:
    """The files that were written with a numbered one, in order, it among them; it alone without a number."""
    like = _series(first.name)
    if like is None:
        return [first]
    return [path for path in sorted(first.parent.iterdir()) if _series(path.name) == like]


def _frames(value: Any, stem: str, folder: Path, provenance: str) -> str:
    from flowsynth.media.pictures import encode_picture
    from flowsynth.values.frames import as_dtype, as_float

    names = [f"{stem}/{i:06d}.png" for i in range(value.num_frames)]
    paths = [folder / f"{stem}.png"] if len(names) == 1 else [folder / name for name in names]
    if len(paths) > 1:
        tidy(folder / stem)
    for i, path in enumerate(paths):
        image = as_dtype(as_float(value.frame(i)), "uint8").permute(1, 2, 0).contiguous().numpy()
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        write_atomic(path, encode_picture(pixels, "png", text=provenance))
    if len(paths) > 1:
        _clear_rest(folder / stem, [path.name for path in paths])
    return str(paths[0].relative_to(folder)) if paths else stem


def _audio(value: Any, stem: str, folder: Path, provenance: str) -> str:
    from flowsynth.media.errors import MediaWriteError
    from flowsynth.media.sound_writer import write_wav

    path = folder / f"{stem}.wav"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_wav(path, value, provenance)
    except MediaWriteError as error:
        raise RunError(str(error)) from error
    return path.name


def _tensors(value: Any, stem: str, folder: Path, provenance: str) -> str:
    from safetensors.torch import save

    from flowsynth.values.tensors import from_buffer

    encoded = value.encode()
    tensors = {key: from_buffer(buffer) for key, buffer in encoded.tensors.items()}
    path = folder / f"{stem}.safetensors"
    write_atomic(path, save(tensors, {"flowsynth": provenance, "type": value.codec_name}))
    return path.name


def _embed(path: Path, provenance: str) -> None:
    from flowsynth.media.errors import NotMediaError
    from flowsynth.media.provenance import embed

    with contextlib.suppress(NotMediaError):
        embed(path, provenance)


WRITERS: Mapping[str, Callable[[Any, str, Path, str], str]] = {
    "video": _video,
    "file_set": _file_set,
    "frames": _frames,
    "mask": _frames,
    "audio": _audio,
}
