"""``run --multirun`` and ``plan --multirun`` as they are typed."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flowsynth.cache import Cache
from flowsynth.core.record import SweepPlanRecord, SweepRecord, json_schema
from flowsynth.core.refs import JsonRef, Trace
from tests.cli.conftest import Cli
from tests.processes import Child

SWEEP = ("graph=small", "cache.dir=c", "output_dir=o", "by=1,2", "graph.nodes.other.params.by=100,200")


def table(folder: str = "o") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "sweep.json").read_text())
    jsonschema.validate(found, json_schema(SweepRecord))
    return found


def test_jobs_have_numbered_folders_and_a_table(cli: Cli, home: Path) -> None:
    code, out, err = cli("run", "--multirun", *SWEEP)
    assert code == 0
    assert out.splitlines()[:2] == ["[0] last = 112", "[0] o/0/run.json"]
    assert out.splitlines()[-1] == "o/sweep.json"
    assert "small: 12 nodes, 0 from the cache" in err
    jobs = table()["jobs"]
    assert [job["outputs"]["last"] for job in jobs] == [112, 212, 114, 214]
    assert table()["axes"] == {"by": ["1", "2"], "graph.nodes.other.params.by": ["100", "200"]}
    rows = list(csv.DictReader((home / "o" / "sweep.csv").read_text().splitlines()))
    assert [(row["by"], row["last"], row["shared"]) for row in rows[1:3]] == [
        ("1", "212.0", "2"),
        ("2", "114.0", "2"),
    ]
    record = json.loads((home / "o" / "3" / "run.json").read_text())
    assert record["request"]["overrides"][-1] == "graph.nodes.other.params.by=200"
    assert record["request"]["command"][:2] == ["flowsynth", "--operators"]


def test_a_job_that_is_not_right_leaves_the_rest_alone(cli: Cli, home: Path) -> None:
    code, _, err = cli("run", "--multirun", *SWEEP[:3], "by=1,x,3", "-q")
    assert code == 1
    assert "flowsynth: [1] small: nodes.first.params.by: bad value; expected a valid integer" in err
    assert "1 of 3 jobs failed: 1" in err
    assert [job["status"] for job in table()["jobs"]] == ["done", "failed", "done"]


def test_where_no_job_is_right_nothing_is_made(cli: Cli, home: Path) -> None:
    code, _, err = cli("run", "--multirun", *SWEEP[:3], "by=x,y")
    assert code == 2
    assert "nodes.first.params.by: bad value" in err
    assert not (home / "o").exists()


def test_jobs_may_be_written_one_by_one(cli: Cli, home: Path) -> None:
    lines = ["# two of them", "by=3", "", "by=4 graph.nodes.other.params.by=7  # the second", "by=5,6"]
    (home / "jobs.txt").write_text("\n".join(lines))
    code, _, _ = cli("run", "--multirun", "--jobs", "jobs.txt", *SWEEP[:3], "-q")
    assert code == 0
    assert [job["outputs"]["last"] for job in table()["jobs"]] == [116, 25, 120, 122]
    assert table()["axes"] == {"by": ["3", "4", "5", "6"], "graph.nodes.other.params.by": ["7", None]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("by=1\nby='2\n", "jobs.txt:2: cannot be read; expected KEY=VALUE"),
        ("# nothing\n", "no job in it; expected a line of overrides a job"),
        ("by=1\n9x=2\n", "jobs.txt:2: 9x: not a key"),
        (None, "--jobs: jobs.txt: cannot be read"),
    ],
)
def test_a_file_of_jobs_that_is_none_is_refused(cli: Cli, home: Path, text: str | None, said: str) -> None:
    if text is not None:
        (home / "jobs.txt").write_text(text)
    code, _, err = cli("run", "--multirun", "--jobs", "jobs.txt", *SWEEP[:3])
    assert code == 2
    assert said in err
    assert not (home / "o").exists()


def test_jobs_are_for_a_sweep(cli: Cli) -> None:
    code, _, err = cli("run", "--jobs", "jobs.txt", "graph=small")
    assert code == 2
    assert "--jobs: not used by a single run; expected --multirun beside it" in err


def test_one_folder_for_all_jobs(cli: Cli, home: Path) -> None:
    code, _, err = cli("run", "--multirun", "graph=small", "cache.dir=c", "output_dir=a,b")
    assert code == 2
    assert "output_dir: several values; expected one folder for the sweep" in err
    assert not (home / "a").exists()


def test_a_plan_says_what_is_shared_and_cached_and_writes_nothing(cli: Cli, home: Path) -> None:
    def files() -> list[Path]:
        """All but what Python compiles of the user's operators."""
        return sorted(path for path in home.rglob("*") if "__pycache__" not in path.parts)

    before = files()
    code, out, _ = cli("plan", "--multirun", *SWEEP)
    assert code == 0
    assert files() == before
    assert out.splitlines()[-1].startswith("4 jobs, 0 of them in the cache: 16 nodes, 12 different")
    cli("run", "--multirun", *SWEEP[:3], "by=1", "graph.nodes.other.params.by=100,200", "-q")
    record = json.loads(cli("plan", "--multirun", *SWEEP, "--json")[1])
    jsonschema.validate(record, json_schema(SweepPlanRecord))
    assert [(job["hits"], job["nodes"]) for job in record["jobs"]] == [(4, 4), (4, 4), (0, 4), (0, 4)]
    counts = {name: (n["jobs"], n["nodes"], n["hits"], n["unknown"]) for name, n in record["nodes"].items()}
    assert counts["first"] == (4, 2, 1, 0)
    assert counts["last"] == (4, 4, 2, 2)
    assert record["nodes"]["last"]["seconds"] is not None


def test_a_plan_says_which_jobs_cannot_be_run(cli: Cli) -> None:
    code, out, _ = cli("plan", "--multirun", *SWEEP[:2], "by=1,x")
    assert code == 2
    assert "[1] cannot be run: small: nodes.first.params.by: bad value" in out


SLOW = '''
"""An operator that takes its time and writes down that it ran."""

import os
import time

import flowsynth as fs


class Log(fs.Operator):
    """Adds."""

    op = "log"
    version = 1
    by: int = 1

    def run(self, ctx, /, *, x: int = 0) -> int:
        time.sleep(0.03)
        with open(os.environ["SWEEP_LOG"], "a") as file:
            file.write(f"{x}+{self.by}\\n")
        return x + self.by
'''
LOGGED = """
settings: {a: 1, b: 1}
nodes:
  first: {op: log, params: {by: 7}}
  outer: {op: log, inputs: {x: first}, params: {by: "${a}"}}
  inner: {op: log, inputs: {x: outer}, params: {by: "${b}"}}
outputs: [inner]
"""
AXES = ("a=10,20,30,40", "b=100,200,300,400")


def start(home: Path, folder: str) -> Child:
    command = ["-m", "flowsynth", "--operators", "slow_ops.py", "run", "--multirun"]
    more = ["graph=logged", "cache.dir=c", f"output_dir={folder}", *AXES, "-q"]
    return Child(*command, *more, folder=home, environment={"SWEEP_LOG": str(home / "log")})


@pytest.fixture
def logged(home: Path) -> Path:
    (home / "slow_ops.py").write_text(SLOW)
    (home / "graphs" / "logged.yaml").write_text(LOGGED)
    return home


def what(rows: list[dict[str, Any]]) -> list[Any]:
    return [[row[key] for key in ("job", "axes", "status", "outputs", "metrics", "errors")] for row in rows]


def computed(home: Path, since: int = 0) -> list[int]:
    """What nodes gave that were computed, in order, after the first few; each node gives another number."""
    lines = (home / "log").read_text().splitlines() if (home / "log").exists() else []
    return [sum(map(int, line.split("+"))) for line in lines[since:]]


def finished(home: Path) -> set[int]:
    """What nodes gave whose trace is in the cache."""
    with Cache(home / "c", read_only=True) as cache:
        rows = cache.lookup_many([key for key in cache.traces.keys("") if ":" not in key]).values()
    traces = [trace for trace in map(Trace.from_bytes, rows) if trace is not None]
    return {ref.value for trace in traces for ref in trace.outputs.values() if isinstance(ref, JsonRef)}


#: Threads that compute in one process.
WORKERS = max(1, (os.cpu_count() or 1) // 4)
EXPECTED = [7 + a + b for a in (10, 20, 30, 40) for b in (100, 200, 300, 400)]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(
    ("kills", "sent"),
    [
        (1, "SIGKILL"),
        pytest.param(10, "SIGKILL", marks=pytest.mark.slow),
        pytest.param(1, "SIGINT", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_that_was_ended_goes_on_where_it_was(logged: Path, kills: int, sent: str) -> None:
    rng, before, there = random.Random(kills), 0, set[int]()
    for _ in range(kills):
        process = start(logged, "o")
        want = min(before + rng.randint(1, max(1, 18 // kills)), 20)
        while process.returncode is None and len(computed(logged)) < want:
            time.sleep(0.005)
        process.send_signal(getattr(signal, sent))
        process.finish()
        assert there.isdisjoint(computed(logged, before))
        before, there = len(computed(logged)), finished(logged) if (logged / "c").exists() else set()
        if (logged / "o" / "sweep.json").is_file():
            assert all(job["status"] == "done" for job in table(str(logged / "o"))["jobs"])
    assert start(logged, "o").finish() == 0
    # What was finished is not computed again, what is left is, and each node once.
    last = computed(logged, before)
    assert sorted(last) == sorted(finished(logged) - there)
    assert len(finished(logged)) == len(set(computed(logged))) == 21
    assert [job["outputs"]["inner"] for job in table(str(logged / "o"))["jobs"]] == EXPECTED
    assert start(logged, "calm").finish() == 0
    assert what(table(str(logged / "o"))["jobs"]) == what(table(str(logged / "calm"))["jobs"])


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(
    ("terminals", "kill"),
    [
        (2, False),
        pytest.param(4, False, marks=pytest.mark.slow),
        pytest.param(4, True, marks=pytest.mark.slow),
    ],
)
def test_terminals_share_the_work_though_one_of_them_dies(logged: Path, terminals: int, kill: bool) -> None:
    processes = [start(logged, f"o{i}") for i in range(terminals)]
    while kill and len(computed(logged)) < 6:
        time.sleep(0.005)
    if kill:
        processes[0].kill()
        processes[0].finish()
    left = range(int(kill), terminals)
    assert [processes[i].finish() for i in left] == [0] * len(left)
    made = computed(logged)
    assert set(made) == finished(logged)
    assert len(set(made)) == 21
    assert len(made) <= 21 + kill * WORKERS  # what the killed one was about to finish
    tables = [table(str(logged / f"o{i}"))["jobs"] for i in left]
    counted = sum(job["tasks"]["computed"] for rows in tables for job in rows)
    assert counted <= 21
    assert kill or counted == 21
    for rows in tables:
        assert [job["outputs"]["inner"] for job in rows] == EXPECTED


def test_two_sweeps_do_not_write_into_one_folder(tmp_path: Path) -> None:
    from flowsynth.core.errors import RequestError
    from flowsynth.sweeps.table import Table

    first = Table(tmp_path, {})
    with pytest.raises(RequestError, match="output_dir: another sweep writes there now"):
        Table(tmp_path, {})
    first.close()
    Table(tmp_path, {}).close()
