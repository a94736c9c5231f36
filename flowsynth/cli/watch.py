"""Shows a run while it goes: a live table on a terminal, else lines, or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from flowsynth.cli.progress import PlainLines, Tracker
from flowsynth.cli.terminal import bare
from flowsynth.core.events import Observer

#: Asks the libraries below for their errors only: their chatter would break the table, and -q.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


@contextmanager
def watching(quiet: bool = False, stream: TextIO | None = None) -> Iterator[Observer]:
    """An observer for a run, shown on a stream (stderr if None) until the block ends."""
    out = stream or sys.stderr
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if quiet:
        yield Observer()
        return
    if out.isatty():
        from flowsynth.cli.live import LiveTable

        tracker: Tracker = LiveTable(bare(out))
    else:
        tracker = PlainLines(out)
    try:
        yield tracker
    finally:
        tracker.close()
