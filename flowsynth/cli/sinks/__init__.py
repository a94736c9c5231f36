"""Trackers of experiments that are told of runs, beside `run.json`: afterwards, by a process of its own.

A tracker can fail, hang or be slow, and no run does: it is over and written before a tracker hears of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import Fault, GraphError
from flowsynth.core.secrets import hidden_text

if TYPE_CHECKING:
    from flowsynth.config.settings import RecordSettings

#: How long the end of a command waits for a tracker; after that it goes on by itself.
PATIENCE = 30.0
#: Sink -> how its package is installed.
_INSTALL = {"trackio": "pip install 'flowsynth-engine[trackio]'"}


def require_sink(settings: RecordSettings) -> None:
    """See, before a run, that the tracker that it names is installed.

    Raises:
        GraphError: it is not.
    """
    sink = settings.sink
    if sink is not None and importlib.util.find_spec(sink) is None:
        fault = Fault("record.sink", f"{sink} is not installed", _INSTALL[sink], repr(sink))
        raise GraphError([fault], "settings")


def tell(settings: RecordSettings, runs: Sequence[dict[str, Any]], group: str = "") -> str:
    """Tell a tracker of runs that are over.

    Args:
        settings: which tracker, and the project there.
        runs: what `payload` makes of each.
        group: what runs of a sweep have in common; none if empty.

    Returns:
        What went wrong, for the user; empty where nothing did, or there is no tracker.
    """
    if settings.sink is None or not runs:
        return ""
    project = settings.project or "flowsynth"
    asked = hidden_text(json.dumps({"project": project, "group": group, "runs": list(runs)}))
    command = [sys.executable, "-m", f"flowsynth.cli.sinks.to_{settings.sink}"]
    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                start_new_session=True,  # Ctrl-C of a waiting user ends the wait, not what is being written
            )
            child.communicate(asked.encode(), timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return (
                f"record.sink: {settings.sink} was not done after {PATIENCE:.0f} s; the run is, all the same"
            )
        except OSError as error:
            return f"record.sink: {settings.sink} was not told ({error.strerror or error})"
        if child.returncode == 0:
            return ""
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else f"it ended with {child.returncode}"
    return f"record.sink: {settings.sink} was not told of the run, which is done all the same ({reason})"


def payload(
    name: str, folder: Path, overrides: Sequence[str], facts: dict[str, Any], outputs: dict[str, Any]
) -> dict[str, Any]:
    """What a tracker is told of a run: its choices, its figures, and its pictures and films.

    Args:
        name: of the run.
        folder: where its files are.
        overrides: what it was asked for, as typed.
        facts: status, seconds and other figures.
        outputs: output -> path in the folder, or value.
    """
    pairs = (line.lstrip("+").partition("=") for line in overrides)
    config = {key: value for key, equals, value in pairs if equals}
    figures: dict[str, float] = {}
    files: dict[str, str] = {}
    for output, value in outputs.items():
        if isinstance(value, str):
            file = folder / value
            if file.is_file():
                files[output] = str(file.absolute())
        else:
            figures.update(_numbers(output, value))
    return {"name": name, "config": config, "facts": facts, "figures": figures, "files": files}


def _numbers(name: str, value: Any) -> dict[str, float]:
    """The numbers in a value, those of mappings under names with dots."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {name: float(value)}
    if not isinstance(value, dict):
        return {}
    return {key: number for part in value for key, number in _numbers(f"{name}.{part}", value[part]).items()}
