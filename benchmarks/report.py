"""The foot of a benchmark's report: when and on what it was measured; and where the report goes."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def machine(*distributions: str) -> str:
    """One line with the date, the machine, the versions of some distributions, and the load now."""
    parts = [f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    parts += [f"{name} {version(name)}" for name in distributions]
    return (
        f"- {datetime.date.today()}, {platform.machine()}, {', '.join(parts)}; "
        f"load {os.getloadavg()[0]:.1f} at the end"
    )


def publish(lines: Sequence[str], out: Path | None) -> None:
    """Print a report, and write it to a file if one is given."""
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if out:
        out.write_text(text)
