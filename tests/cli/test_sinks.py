"""Trackers of experiments: the real one, and ones that fail; no run does with them."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

SMALL = ("graph=small", "cache.dir=c")
WHY = "Trackio was not tried: pip install trackio"


def stand_in(home: Path, patch: pytest.MonkeyPatch, code: str) -> None:
    """A package of the tracker's name that does something else, here and in processes."""
    (home / "site").mkdir()
    (home / "site" / "trackio.py").write_text(code)
    patch.syspath_prepend(str(home / "site"))
    patch.setenv("PYTHONPATH", f"{home / 'site'}:{':'.join(sys.path)}")
    patch.delitem(sys.modules, "trackio", raising=False)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('the disk is full')", "RuntimeError: the disk is full"),
        ("import os\nos._exit(3)", "it ended with 3"),
        ("def init(**given): raise ValueError('bad project')", "ValueError: bad project"),
    ],
)
def test_a_tracker_that_fails_is_a_note(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    stand_in(home, monkeypatch, code)
    code_, out, err = cli("run", "-q", *SMALL, "record.sink=trackio", "output_dir=o")
    assert (code_, out) == (0, "last = 112\no/run.json\n")
    assert (
        err == f"note: record.sink: trackio was not told of the run, which is done all the same ({reason})\n"
    )
    assert json.loads((home / "o" / "run.json").read_text())["status"] == "done"


def test_one_that_hangs_is_waited_for_only_so_long(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(home, monkeypatch, "import time\ntime.sleep(100)")
    monkeypatch.setattr("flowsynth.cli.sinks.PATIENCE", 0.5)
    code, out, err = cli("run", "-q", *SMALL, "record.sink=trackio", "output_dir=o")
    assert (code, out) == (0, "last = 112\no/run.json\n")
    assert "note: record.sink: trackio was not done after " in err


def test_what_is_not_there_or_not_read_is_said_before_a_run(cli: Cli, home: Path) -> None:
    code, _, err = cli("run", "-q", *SMALL, "record.sink=mlflow")
    assert code == 2
    assert "record.sink: bad value; expected 'trackio'; given 'mlflow'" in err
    code, _, err = cli("run", "-q", *SMALL, "record.project=mine")
    assert code == 2
    assert "record.project: only read with record.sink=NAME" in err
    assert not (home / "c").exists()


def test_a_tracker_that_is_not_installed_is_said_before_a_run(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowsynth.cli.sinks.importlib.util.find_spec", lambda name: None)
    code, _, err = cli("run", "-q", *SMALL, "record.sink=trackio")
    assert code == 2
    assert "trackio is not installed; expected pip install 'flowsynth-engine[trackio]'" in err
    assert not (home / "c").exists()


def rows(folder: Path, project: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Choices and figures of a project's runs, in order."""
    with sqlite3.connect(folder / f"{project}.db") as base:
        configs = [json.loads(row[0]) for row in base.execute("select config from configs order by id")]
        figures = [json.loads(row[0]) for row in base.execute("select metrics from metrics order by id")]
    base.close()
    return list(zip(configs, figures, strict=True))


def test_trackio_itself_is_told_of_runs_and_jobs(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackio", reason=WHY)
    monkeypatch.setenv("TRACKIO_DIR", str(home / "tracked"))
    (home / "graphs" / "drawn.yaml").write_text(
        "nodes:\n  picture: {op: read_image, params: {path: 'picture:astronaut', width: 16, height: 16}}\n"
        "  image: {op: save_images, inputs: {frames: picture}}\noutputs: [image]\n"
    )
    code, _, err = cli("run", "-q", "graph=drawn", "cache.dir=c", "record.sink=trackio", "output_dir=o")
    assert (code, err) == (0, "")
    ((config, figures),) = rows(home / "tracked", "flowsynth")
    assert (config["graph"], config["status"], config["output_dir"]) == ("drawn", "done", "o")
    assert figures["nodes.computed"] == 2
    assert figures["image"]["_type"] == "trackio.image"
    given = ("by=1,2", "record.sink=trackio", "record.project=mine", "output_dir=s")
    code, _, err = cli("run", "-q", "--multirun", *SMALL, *given)
    assert (code, err) == (0, "")
    told = rows(home / "tracked", "mine")
    assert [config["by"] for config, _ in told] == ["1", "2"]
    assert {config["_Group"] for config, _ in told} == {"s"}
    assert all("seconds" in figures for _, figures in told)
