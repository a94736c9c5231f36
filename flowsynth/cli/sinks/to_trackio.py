"""Tells Trackio of runs: a process of its own, which reads what to tell as JSON from its input.

Trackio (MIT) keeps projects in SQLite files on this machine, `TRACKIO_DIR`; ``trackio show`` looks at them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: Of a file that is copied into the project.
_MAX_BYTES = 25 * 2**20
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_FILMS = (".mp4", ".webm", ".gif")


def main() -> None:
    """Write one run a run."""
    import trackio

    asked: dict[str, Any] = json.load(sys.stdin)
    for run in asked["runs"]:
        words = {key: value for key, value in run["facts"].items() if not _is_number(value)}
        trackio.init(
            project=asked["project"],
            name=run["name"],
            group=asked["group"] or None,
            config={**run["config"], **words},
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        numbers = {key: value for key, value in run["facts"].items() if _is_number(value)}
        trackio.log({**numbers, **run["figures"], **_media(trackio, run["files"])})
        trackio.finish()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _media(trackio: Any, files: dict[str, str]) -> dict[str, Any]:
    """Pictures and films that are not too large."""
    found: dict[str, Any] = {}
    for name, text in files.items():
        path = Path(text)
        if path.stat().st_size > _MAX_BYTES:
            continue
        if path.suffix.lower() in _PICTURES:
            found[name] = trackio.Image(str(path), caption=name)
        elif path.suffix.lower() in _FILMS:
            found[name] = trackio.Video(str(path), caption=name)
    return found


if __name__ == "__main__":
    main()
