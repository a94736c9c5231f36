"""The foot of a benchmark's report: when and on what it was measured; and where the report goes."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

#: What follows this line in a report is written by hand and stays when the figures are measured again.
NOTES = "<!-- notes -->"


def machine(*distributions: str) -> str:
    """One line with the date, the machine, the versions of some distributions, and the load now."""
    parts = [processor(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    parts += [f"{name} {version(name)}" for name in distributions]
    return f"- {datetime.date.today()}, {', '.join(parts)}; load {os.getloadavg()[0]:.1f} at the end"


def processor() -> str:
    """The CPU's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def publish(lines: Sequence[str], out: Path | None) -> None:
    """Print a report, and write it to a file if one is given, over all but that file's notes."""
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if out:
        before = out.read_text() if out.exists() else ""
        _, marker, notes = before.partition(NOTES)
        out.write_text(f"{text}\n{marker}{notes}" if marker else text)
