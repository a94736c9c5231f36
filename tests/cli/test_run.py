import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from flowsynth.core.record import PlanRecord, RunRecord, json_schema
from tests.cli.conftest import Cli, Shell, assert_quick

SMALL = ("graph=small", "cache.dir=c")


def statuses(out: str) -> dict[str, str]:
    return {name: node["status"] for name, node in json.loads(out)["nodes"].items()}


def test_the_last_line_is_the_main_output_and_the_record_lies_beside_it(cli: Cli) -> None:
    code, out, err = cli("run", *SMALL, "output_dir=o")
    assert code == 0
    assert out.splitlines() == ["last = 112", "o/run.json"]
    assert "4 computed" in err
    record = json.loads(Path("o/run.json").read_text())
    jsonschema.validate(record, json_schema(RunRecord))
    assert record["outputs"] == {"last": 112}


def test_the_default_folder_is_named_after_graph_and_time(cli: Cli) -> None:
    first = Path(cli("run", *SMALL)[1].splitlines()[-1])
    second = Path(cli("run", *SMALL)[1].splitlines()[-1])
    assert first.parts[:2] == ("outputs", "small")
    assert first.is_file()
    assert first.parent != second.parent, "two runs in one second do not share a folder"


def test_a_second_run_is_all_hits(cli: Cli) -> None:
    cli("run", *SMALL)
    code, out, err = cli("run", *SMALL, "--json")
    assert code == 0
    assert set(statuses(out).values()) == {"hit"}
    assert "all 4 nodes from the cache" in err


def test_a_change_runs_what_depends_on_it_and_nothing_else(cli: Cli) -> None:
    cli("run", *SMALL)
    out = cli("run", *SMALL, "graph.nodes.second.params.by=11", "--json")[1]
    assert statuses(out) == {"first": "hit", "second": "computed", "other": "hit", "last": "computed"}


def test_outputs_choose_what_is_run(cli: Cli) -> None:
    out = cli("run", *SMALL, "--outputs", "second", "--json")[1]
    assert set(statuses(out)) == {"first", "second"}


def test_a_failed_node_stops_what_needs_it_and_is_said_once(cli: Cli) -> None:
    code, _, err = cli("run", *SMALL, "graph.nodes.second.params.fail=true", "output_dir=o", "--quiet")
    assert code == 1
    assert err.count("asked to fail") == 1
    assert "second" in err
    assert "Traceback" not in err
    record = json.loads(Path("o/run.json").read_text())
    assert record["status"] == "failed"
    ends = {name: node["status"] for name, node in record["nodes"].items()}
    assert ends.pop("other") in ("computed", "skipped"), "only `last` needs it"
    assert ends == {"first": "computed", "second": "failed", "last": "skipped"}


def test_plan_says_what_a_run_would_do_and_writes_nothing(cli: Cli) -> None:
    code, out, _ = cli("plan", *SMALL, "--json")
    assert code == 0
    jsonschema.validate(json.loads(out), json_schema(PlanRecord))
    assert statuses(out) == {"first": "run", "second": "unknown", "other": "unknown", "last": "unknown"}
    assert not Path("c").exists()
    cli("run", *SMALL)
    assert set(statuses(cli("plan", *SMALL, "--json")[1]).values()) == {"hit"}
    text = cli("plan", *SMALL, "graph.nodes.other.params.by=7")[1]
    assert "params.by: 100 -> 7" in text
    assert text.splitlines()[-1] == "small: 2 hit, 1 run, 1 unknown"


def test_explain_names_the_part_of_the_key_that_changed(cli: Cli) -> None:
    cli("run", *SMALL)
    assert "nothing in its key has changed" in cli("explain", "other", *SMALL)[1]
    out = cli("explain", "other", *SMALL, "graph.nodes.other.params.by=7")[1]
    assert "params.by: 100 -> 7" in out
    data = json.loads(cli("explain", "last", *SMALL, "graph.nodes.other.params.by=7", "--json")[1])
    assert (data["status"], data["waits"]) == ("unknown", ["other"])
    code, _, err = cli("explain", "othr", *SMALL)
    assert code == 2
    assert "did you mean 'other'" in err


def test_hashes_are_short_and_say_what_they_are_of(cli: Cli, home: Path) -> None:
    from PIL import Image

    given = ("graph=shown", "cache.dir=c")
    (home / "graphs" / "shown.yaml").write_text(
        "nodes:\n  picture: {op: read_image, params: {path: a.png}}\n"
        "  small: {op: resize, inputs: {frames: picture}, params: {factor: 0.5}}\n"
    )
    Image.new("RGB", (8, 8), "red").save(home / "a.png")
    cli("run", "-q", *given)
    Image.new("RGB", (8, 8), "blue").save(home / "a.png")
    told = cli("explain", "picture", *given)[1].splitlines()[1]
    assert re.fullmatch(r"  files\.path \(content of a\.png\): [0-9a-f]{8} -> [0-9a-f]{8}", told)
    assert told.strip() in cli("plan", *given)[1]
    cli("run", "-q", *given, "--outputs", "picture")
    told = cli("explain", "small", *given)[1].splitlines()[1]
    assert re.fullmatch(r"  inputs\.frames \(from picture\): [0-9a-f]{8} -> [0-9a-f]{8}", told)


def test_explain_sees_an_edited_operator(cli: Cli, home: Path) -> None:
    cli("run", *SMALL)
    source = (home / "my_ops.py").read_text()
    (home / "my_ops.py").write_text(source.replace("return x + self.by", "return self.by + x"))
    out = cli("explain", "first", *SMALL)[1]
    assert "source" in out
    (home / "my_ops.py").write_text("# a comment\n" + source)
    assert "nothing in its key has changed" in cli("explain", "first", *SMALL)[1]


@pytest.mark.parametrize("place", ["my_ops.py", "my_ops.py/below"])
def test_a_sweep_into_a_file_is_refused_before_its_first_job(cli: Cli, place: str) -> None:
    code, out, err = cli("run", "--multirun", *SMALL, f"output_dir={place}", "by=1,2")
    assert (code, out) == (2, "")
    assert err.count("flowsynth: ") == 1
    assert "output_dir: expected a folder to write to" in err
    assert "[0]" not in err
    assert not Path("c").exists()


def test_a_sweep_runs_every_job_keeps_going_and_is_all_hits_again(cli: Cli) -> None:
    sweep = ("run", "--multirun", *SMALL, "output_dir=o", "graph.nodes.second.params.by=1,wrong,3")
    code, out, err = cli(*sweep)
    assert code == 1
    assert out.splitlines()[-1] == "o/sweep.json"
    assert "[1]" in err
    assert "given 'wrong'" in err
    assert "1 of 3 jobs failed: 1" in err
    jobs = json.loads(Path("o/sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["done", "failed", "done"]
    assert [job.get("outputs") for job in jobs] == [{"last": 103}, None, {"last": 105}]
    assert jobs[2]["tasks"] == {"hit": 2, "computed": 2}
    assert Path("o/2/run.json").is_file()
    again = json.loads(cli(*sweep, "--json")[1])["jobs"]
    assert [job.get("tasks") for job in again] == [{"hit": 4, "computed": 0}, None, {"hit": 4, "computed": 0}]


def test_a_sweep_whose_every_job_is_wrong_is_a_wrong_request(cli: Cli) -> None:
    code, _, err = cli("run", "-m", *SMALL, "promt=a,b")
    assert code == 2
    assert err.count("did you mean 'prompt'") == 1


def test_a_sweep_may_vary_what_it_runs_on(cli: Cli) -> None:
    code, out, err = cli("run", "-m", *SMALL, "output_dir=o", "device=cpu,sim:0,sim:7000", "--json")
    assert code == 0, err
    devices = [
        {node["device"] for node in json.loads(Path(f"o/{i}/run.json").read_text())["nodes"].values()}
        for i in range(3)
    ]
    assert devices == [{"cpu"}, {"sim:0"}, {"sim:7000"}]
    jobs = json.loads(out)["jobs"]
    assert sum(job["tasks"]["computed"] for job in jobs) == 4, "a device's number is no part of a key"


def test_a_sweep_over_failing_nodes_fails_at_the_end(cli: Cli) -> None:
    code, _, _ = cli("run", "-m", *SMALL, "output_dir=o", "graph.nodes.second.params.fail=true,false")
    assert code == 1
    jobs = json.loads(Path("o/sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["failed", "done"]


def test_the_real_program_runs_in_an_empty_folder(shell: Shell, home: Path) -> None:
    done = shell("--operators", "my_ops.py", "run", "graph=small")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "last = 112"


def test_a_cached_run_and_a_plan_import_no_torch(home: Path) -> None:
    script = (
        "import sys\nfrom flowsynth.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'rich', 'networkx', 'av')\n"
        "print('IMPORTED', [m for m in heavy if m in sys.modules])\nsys.exit(code)"
    )
    for command in ("run", "run", "plan"):
        argv = [sys.executable, "-c", script, "--operators", "my_ops.py", command, *SMALL]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        if command == "run":
            first = done
    assert "IMPORTED []" in done.stdout
    assert "IMPORTED []" in first.stdout


def test_a_cached_run_is_quick(home: Path) -> None:
    run = ["-m", "flowsynth", "--operators", "my_ops.py", "run", *SMALL]
    subprocess.run([sys.executable, *run], check=True, capture_output=True, timeout=60)
    assert_quick(run)


SLEEPY = """
import time
import flowsynth as fs


class Sleepy(fs.Operator):
    \"\"\"Sleeps in small steps.\"\"\"

    op = "sleepy"
    version = 1

    def run(self, ctx, /, *, x: int = 0) -> int:
        for i in range(600):
            time.sleep(0.05)
            ctx.progress(i, 600)
        return x
"""


@pytest.mark.sample(1)
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_ctrl_c_ends_cleanly(home: Path, executor: str) -> None:
    (home / "sleepy_ops.py").write_text(SLEEPY)
    (home / "graphs" / "sleepy.yaml").write_text("nodes: {a: {op: sleepy}}")
    argv = ["-m", "flowsynth", "--operators", "sleepy_ops.py", "run", "graph=sleepy", f"executor={executor}"]
    process = subprocess.Popen(
        [sys.executable, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    try:
        while "sleepy on" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err
