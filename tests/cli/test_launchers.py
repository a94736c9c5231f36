"""Hydra's launchers and sweepers, the real ones where ``pip install 'flowsynth-engine[hydra]'`` put them."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowsynth.config.plugins import LAUNCHERS, SWEEPERS
from flowsynth.core.record import SweepRecord, json_schema
from tests import processes
from tests.cli.conftest import ROOT, Cli, Shell
from tests.cli.slurm import missing, slurm

SMALL = ("--operators", "my_ops.py", "run", "--multirun", "graph=small", "cache.dir=c", "output_dir=o")
STUDY = ("hydra/sweeper=optuna", "sweep.objective=last", "hydra.sweeper.direction=minimize")
STORED = ("hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=s")

#: A launcher to Hydra's interface that runs jobs here, one after the other; it stands where joblib's does.
LAUNCHER = """
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.plugins.launcher import Launcher

NAME = "hydra_plugins.hydra_joblib_launcher.JoblibLauncher"
ConfigStore.instance().store("joblib", {"_target_": NAME, "n_jobs": 1}, "hydra/launcher")


class JoblibLauncher(Launcher):
    def __init__(self, **options):
        self.options = options

    def setup(self, *, hydra_context, task_function, config):
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        found = []
        for overrides in job_overrides:
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            HydraConfig.instance().set_config(config)
            found.append(run_job(self.task, config, "hydra.sweep.dir", "hydra.sweep.subdir", self.context))
        return found
"""


def needs(*names: str) -> None:
    """Skip where a plugin is not installed."""
    for name in names:
        package = {**LAUNCHERS, **SWEEPERS}[name].package
        try:
            found = importlib.util.find_spec(package)
        except ImportError:
            found = None
        if found is None:
            pytest.skip(f"{name}: {package} is not installed; pip install 'flowsynth-engine[hydra]'")


def table(folder: str = "o") -> list[dict[str, Any]]:
    found: dict[str, Any] = json.loads(Path(folder, "sweep.json").read_text())
    jsonschema.validate(found, json_schema(SweepRecord))
    rows: list[dict[str, Any]] = found["jobs"]
    assert [row["job"] for row in rows] == sorted({row["job"] for row in rows})
    for row in rows:
        record = Path(folder, row["folder"], "run.json")
        assert record.exists() or row["status"] == "failed"
        if record.exists():
            assert json.loads(record.read_text())["request"]["overrides"] == row["overrides"]
    with Path(folder, "sweep.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert not list(Path(folder).glob(".flowsynth*"))
    return rows


def plugin(home: Path, package: str, text: str) -> dict[str, str]:
    """The environment in which a plugin of the test's own is installed."""
    folder = home / "site" / "hydra_plugins" / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return {"PYTHONPATH": f"{home / 'site'}{os.pathsep}{ROOT}"}


def changed(home: Path, before: str, after: str) -> None:
    """Write the user's operators anew."""
    file = home / "my_ops.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_jobs_go_through_a_launcher_whatever_else_is_installed(forked: Shell, home: Path) -> None:
    env = plugin(home, "hydra_joblib_launcher", LAUNCHER)
    plugin(home.joinpath(), "hydra_ax_sweeper", "raise AttributeError('np.bool')")
    done = forked(*SMALL, "by=zip(1,2,x)", "seed=zip(1,2,3)", "hydra/launcher=joblib", env=env)
    assert done.returncode == 2, done.stderr  # the graph reads no seed: as without a launcher
    done = forked(
        *SMALL, "by=1,x,3", "hydra/launcher=joblib", "hydra.sweep.subdir=n_${hydra:job.num}", env=env
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "flowsynth: [1] small: nodes.first.params.by: bad value" in done.stderr
    rows = table()
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert [row["folder"] for row in rows] == [
        "n_0",
        "1",
        "n_2",
    ]  # nobody knows what the one that is wrong is called
    assert [row["outputs"].get("last") for row in rows if row["status"] == "done"] == [112, 116]
    assert "[2] last = 116" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise AttributeError('module numpy has no attribute bool')", "AttributeError: module numpy has no"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("", "hydra/launcher"),
        (LAUNCHER + "raise SystemError('broken')", "SystemError: broken"),
        (LAUNCHER.replace("return found", "raise OSError('queue is gone')"), "OSError: queue is gone"),
    ],
)
def test_a_broken_plugin_is_one_message(forked: Shell, home: Path, text: str, words: str) -> None:
    done = forked(
        *SMALL, "by=1,2", "-q", "hydra/launcher=joblib", env=plugin(home, "hydra_joblib_launcher", text)
    )
    assert done.returncode == (1 if "queue" in text else 2)
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("flowsynth: hydra/launcher=joblib")]
    assert len(told) == 1, done.stderr
    assert words in told[0]


@pytest.mark.parametrize("choice", ["hydra/launcher=joblib", "hydra/launcher=ray", "hydra/sweeper=optuna"])
def test_a_missing_plugin_is_said_with_how_to_get_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setattr("flowsynth.config.plugins.find_spec", lambda _: None)
    code, _, err = cli("run", "-m", "graph=small", "by=1,2", choice)
    assert code == 2
    assert f"{choice}: its plugin is not installed; expected pip install" in err
    assert not Path("outputs").exists()


def test_slurm_is_refused_where_there_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsynth.config.plugins.find_spec", lambda _: object())
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = cli("run", "-m", "graph=small", "by=1,2", "hydra/launcher=submitit_slurm")
    assert code == 2
    assert "no sbatch on this machine" in err


def test_hydra_is_left_as_it_was(home: Path) -> None:
    env = plugin(home, "hydra_joblib_launcher", LAUNCHER)
    code = f"""
from hydra.core.singleton import Singleton
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf
from flowsynth.cli import main
Plugins.instance()
before, scan = dict(Singleton._instances), Plugins.__dict__["_scan_all_plugins"].__func__
assert main({[*SMALL, "by=1,2", "-q", "hydra/launcher=joblib"]!r}) == 0
assert all(Singleton._instances[kind] is found for kind, found in before.items())
assert Plugins.__dict__["_scan_all_plugins"].__func__ is scan
assert not OmegaConf.has_resolver("now")
"""
    done = processes.run("-c", code, environment=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "choice",
    [
        ("joblib", "hydra.launcher.n_jobs=2"),
        ("submitit_local", "hydra.launcher.timeout_min=5"),
        pytest.param(("ray", "hydra.launcher.ray.init.num_cpus=2"), marks=pytest.mark.slow),
    ],
)
def test_the_real_launchers_leave_what_the_merged_sweep_does(
    shell: Shell, home: Path, choice: tuple[str, str]
) -> None:
    needs(choice[0])
    as_merged(shell, *choice, {"RAY_AUTH_MODE": "disabled"})


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_real_slurm_leaves_what_the_merged_sweep_does(shell: Shell, home: Path) -> None:
    needs("submitit_slurm")
    if missing():
        pytest.skip(missing())
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm(Path(folder)) as env:
        as_merged(shell, "submitit_slurm", "hydra.launcher.partition=main", env)
        done = shell(
            *SMALL, "by=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=other", env=env
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "invalid partition specified: other" in done.stderr


def as_merged(shell: Shell, name: str, option: str, env: Mapping[str, str]) -> None:
    """A launcher leaves the same rows and keys as a merged sweep."""
    lines = ("by=1,2", "graph.nodes.other.params.by=100,x", "-q")
    merged = shell(*SMALL[:-1], "output_dir=m", "cache.dir=d", *lines)
    done = shell(*SMALL, *lines, f"hydra/launcher={name}", option, env=env)
    assert merged.returncode == done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr

    def kept(row: dict[str, Any]) -> dict[str, Any]:
        own = {k: v for k, v in row.items() if k in ("job", "axes", "status", "folder", "outputs", "errors")}
        return {**own, "metrics": row.get("metrics")}

    assert [kept(row) for row in table()] == [kept(row) for row in table("m")]
    for job in ("0", "2"):
        records = [json.loads(Path(folder, job, "run.json").read_text())["nodes"] for folder in ("o", "m")]
        keys = [{name: node["key"] for name, node in nodes.items()} for nodes in records]
        assert keys[0] == keys[1]


def test_a_worker_that_dies_is_one_message_and_the_others_are_kept(shell: Shell, home: Path) -> None:
    needs("joblib")
    changed(home, "raise ValueError", "import os, time; time.sleep(1.5); os.kill(os.getpid(), 9)  #")
    fails = ("graph.nodes.first.params.fail=zip(false,false,true)", "by=zip(1,2,7)")
    done = shell(*SMALL, *fails, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "-q")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "flowsynth: hydra/launcher=joblib: TerminatedWorkerError" in done.stderr
    rows = table()
    assert [row["status"] for row in rows] == ["done", "done", "failed"]
    assert "nothing came back" in rows[2]["errors"][0]


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_a_study_goes_by_a_figure(shell: Shell, home: Path, launcher: tuple[str, ...]) -> None:
    needs("optuna", *(["joblib"] if launcher else []))
    lines = ("by=range(1,9)", "graph.nodes.other.params.by=choice(100,200)", "hydra.sweeper.n_trials=6")
    done = shell(
        *SMALL, *lines, *STUDY, *launcher, "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1"
    )
    assert done.returncode == 0, done.stderr
    rows = table()
    assert len(rows) == 6
    assert {int(row["axes"]["by"]) for row in rows} <= set(range(1, 9))
    best = min(rows, key=lambda row: row["metrics"]["last"])
    assert f"best: job {best['job']}: last = {best['metrics']['last']:g}" in done.stderr
    results = Path("o/optimization_results.yaml").read_text()
    assert f"best_value: {best['metrics']['last']}" in results


def test_several_figures(shell: Shell, home: Path) -> None:
    needs("optuna")
    graph = (home / "graphs" / "small.yaml").read_text().replace("[last]", "[last, first]")
    (home / "graphs" / "small.yaml").write_text(graph)
    done = shell(
        *SMALL,
        "by=1,2,3",
        "hydra/sweeper=optuna",
        "hydra/sweeper/sampler=grid",
        "sweep.objective=[last,first]",
        "hydra.sweeper.direction=[minimize,maximize]",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(row["metrics"]["first"] for row in table()) == [1, 2, 3]
    assert done.stderr.count("best: job") == 3  # none beats another in both
    assert Path("o/optimization_results.yaml").read_text().count("values:") == 3


def test_a_grid_in_an_experiment(shell: Shell, home: Path) -> None:
    needs("optuna")
    (home / "conf" / "experiment").mkdir(parents=True)
    (home / "conf" / "experiment" / "search.yaml").write_text(
        "# @package _global_\n"
        "defaults: [override /hydra/sweeper: optuna, override /hydra/sweeper/sampler: grid]\n"
        "sweep: {objective: last}\n"
        "hydra: {sweeper: {direction: minimize, n_trials: 50, params: {by: 'range(1,4)'}}}\n"
    )
    done = shell(*SMALL, "experiment=search")
    assert done.returncode == 0, done.stderr
    assert sorted(row["axes"]["by"] for row in table()) == ["1", "2", "3"]


def test_a_trial_that_fails_counts_against_the_rate(shell: Shell, home: Path) -> None:
    needs("optuna")
    lines = ("graph.nodes.second.params.fail=true,false", "by=1,2", "hydra/sweeper/sampler=grid")
    done = shell(*SMALL, *lines, *STUDY)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    done = shell(*SMALL, *lines, *STUDY, "hydra.sweeper.max_failure_rate=1.0")
    assert done.returncode == 1
    assert [row["status"] for row in table()].count("done") == 2


def test_a_study_goes_on_after_a_kill(shell: Shell, home: Path) -> None:
    needs("optuna")
    changed(home, "return x + self.by", "import time; time.sleep(0.1); return x + self.by")
    lines = (
        *SMALL,
        "by=range(1,1000)",
        "hydra.sweeper.n_trials=8",
        "hydra.sweeper.n_jobs=1",
        *STUDY,
        *STORED,
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen([sys.executable, "-m", "flowsynth", *lines], env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and first.poll() is None:
        if Path("o/sweep.json").exists() and Path("o/sweep.json").read_text().count('"status":"done"') >= 3:
            break
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    before = json.loads(Path("o/sweep.json").read_text())["jobs"]
    assert 3 <= len(before) < 8
    done = shell(*lines)
    assert done.returncode == 0, done.stderr
    rows = table()
    assert rows[: len(before)] == before
    # A trial that had a row may not be told of yet: it is made again.
    assert len(rows) in (8, 9)
    again = shell(*lines)
    assert again.returncode == 0
    assert len(table()) == len(rows)
