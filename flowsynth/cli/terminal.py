"""What reaches the terminal: never a raw control character out of a file, a graph or an error."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from flowsynth.core.secrets import hidden_text

#: All that steers a terminal or turns the order of what is read: C0 but for tabs and ends of lines, DEL, C1,
#: and Unicode's overrides of direction.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """A text without secrets, its control characters spelt out as JSON does it, so that JSON stays JSON."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", hidden_text(text))


class Visible:
    """A stream whose texts are made `visible`; all else is the stream's own.

    Attributes:
        stream: the stream itself, for what draws on a terminal.
        optional: whether what cannot be written is dropped: progress and messages, which no result hangs on.
    """

    def __init__(self, stream: TextIO, *, optional: bool = False) -> None:
        self.stream, self.optional = stream, optional

    def write(self, text: str) -> int:
        """Write a text without control characters."""
        try:
            return self.stream.write(visible(text))
        except OSError:
            if not self.optional:
                raise
            self._forget()
            return len(text)

    def flush(self) -> None:
        """Write what is still held."""
        try:
            self.stream.flush()
        except OSError:
            if not self.optional:
                raise
            self._forget()

    def _forget(self) -> None:
        """Have what is held and what is still to come go nowhere."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def writelines(self, lines: Iterator[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """The stream's own."""
        return getattr(self.stream, name)


def bare(stream: TextIO) -> TextIO:
    """The stream behind a `Visible` one, for what draws on it and takes care of its texts itself."""
    return stream.stream if isinstance(stream, Visible) else stream


def open_streams() -> None:
    """Have input, output and messages go nowhere where the caller closed them.

    Else the first file that a run opens would get the number of one of them, and whatever a library prints.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Make what is printed inside `visible`, and have characters that the terminal cannot show escaped."""
    before = sys.stdout, sys.stderr
    for stream in before:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", Visible(bare(before[0])))
    sys.stderr = cast("TextIO", Visible(bare(before[1]), optional=True))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
