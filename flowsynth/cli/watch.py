"""Shows a run while it goes: a live table on a terminal, else lines, or nothing."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from flowsynth.cli.progress import PlainLines
from flowsynth.cli.terminal import bare
from flowsynth.core.events import Both, Observer
from flowsynth.core.tracking import Tracker

#: Asks the libraries below for their errors only: their chatter would break the table, and -q.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have an interrupt act: shells start programs in the background so that they ignore it."""
    before = signal.getsignal(signal.SIGINT)
    ignored = before is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, before)


@contextmanager
def served(shown: Observer, stream: TextIO | None = None) -> Iterator[Observer]:
    """An observer that also serves a live page until the block ends; its address goes to a stream.

    Args:
        shown: hears everything too.
        stream: stderr if None.
    """
    from flowsynth.report.live import LiveRun
    from flowsynth.report.server import serving

    live = LiveRun()

    def stop() -> None:
        if live.status == "running":
            _thread.interrupt_main()  # as Ctrl-C does: what is finished is kept

    with _interruptible(), serving(live, stop) as address:
        print(f"watch: {address}", file=stream or sys.stderr, flush=True)
        yield Both(shown, live)


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
