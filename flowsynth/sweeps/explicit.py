"""Jobs one by one: a file of overrides, a line a job."""

from __future__ import annotations

import shlex
from pathlib import Path

from flowsynth.core.errors import Fault, GraphError, InputError


def read_jobs(path: Path) -> list[tuple[int, list[str]]]:
    """The overrides on each line of a file, with the line's number; quotes as in a shell, ``#`` for remarks.

    Raises:
        InputError: a file that cannot be read, or holds no job.
        GraphError: lines with a quote that is not closed, all at once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--jobs: {path}: cannot be read; expected a line of overrides a job; given {error}"
        ) from None
    found: list[tuple[int, list[str]]] = []
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            faults.append(Fault(f"{path}:{number}", "cannot be read", "KEY=VALUE ...", f"{line!r} ({error})"))
            continue
        if words:
            found.append((number, words))
    if faults:
        raise GraphError(faults, "--jobs")
    if not found:
        raise InputError(f"--jobs: {path}: no job in it; expected a line of overrides a job")
    return found
