"""What reaches the terminal: never a raw control character out of a file, a graph or an error."""

from __future__ import annotations

import contextlib
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
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text without control characters."""
        return self.stream.write(visible(text))

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


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Make what is printed inside `visible`, and have characters that the terminal cannot show escaped."""
    before = sys.stdout, sys.stderr
    for stream in before:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = (cast("TextIO", Visible(bare(stream))) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
