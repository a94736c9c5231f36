"""Sixty more wrong requests, and places that are not as they should be: one message each, and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, Shell
from tests.cli.test_hundred_mistakes import require_refused

SMALL = ["graph=small", "cache.dir=c", "-q"]
SWEEP = ["run", "--multirun", *SMALL]
RUN = ["run", *SMALL]
#: (command line, path, expected, given); as in `test_hundred_mistakes`
LINES: list[tuple[list[str], str, str, str]] = [
    # sweeps
    ([*SWEEP, "by="], "by", "a valid integer", "''"),
    ([*SWEEP, "by=1,"], "by", "KEY=VALUE", "by=1,"),
    ([*SWEEP, "by=1,,2"], "by", "KEY=VALUE", "by=1,,2"),
    ([*SWEEP, "by=range(5,1)"], "by", "one value or more", "by=range(5,1)"),
    ([*SWEEP, "by=range(1,9,-1)"], "by", "one value or more", "by=range(1,9,-1)"),
    ([*SWEEP, "by=range(0,10,0)"], "by", "a step other than 0", "by=range(0,10,0)"),
    ([*SWEEP, "by=range(1000000000)"], "by", "at most 100000", "range(1000000000)"),
    ([*SWEEP, "by=range(1000)", "workers=range(1,1000)"], "workers", "at most 100000", "range(1,1000)"),
    ([*SWEEP, "by=glob(*)"], "by", "one value or more", "glob(*)"),
    ([*SWEEP, "graph=glob(nothing*)"], "graph", "one value or more", "glob(nothing*)"),
    ([*SWEEP, "by=choice()"], "by", "KEY=VALUE", "choice()"),
    ([*SWEEP, "by=shuffle()"], "by", "one value or more", "shuffle()"),
    ([*SWEEP, "by=x,y"], "nodes.first.params.by", "a valid integer", "'x'"),
    ([*SWEEP, "output_dir=a,b"], "output_dir", "one folder", "a, b"),
    ([*SWEEP, "bye=1,2"], "bye", "one of by, cache ? 'by'", "1"),
    # overrides
    ([*RUN, "+by=2"], "by", "by=VALUE, without +", "'+by=2'"),
    ([*RUN, "+cache.dir=x"], "cache.dir", "without +", "+cache.dir='x'"),
    ([*RUN, "~by=2"], "by", "~by, whatever it is", "'~by=2'"),
    ([*RUN, "~nothere"], "nothere", "one of by, cache", "'nothere'"),
    ([*RUN, "experiment=null"], "experiment", "one of diffutoon", "null"),
    ([*RUN, "experiment=[a,b]"], "experiment", "one of diffutoon", "'a'"),
    ([*RUN, "by=1,2"], "by", "--multirun", "'1,2'"),
    ([*RUN, 'by="1'], "by", "KEY=VALUE", "not closed"),
    ([*RUN, "by={a:1"], "by", "KEY=VALUE", "'{' without '}'"),
    ([*RUN, "by=é"], "by", "by='é'", "by=é"),
    ([*RUN, "by=${by}"], "by", "a value", "${by}"),
    ([*RUN, "by=${first}"], "by", "one of by, cache", "${first}"),
    ([*RUN, "by=${oc.env:HOME}"], "by", "FLOWSYNTH_SECRET_ENV=HOME", "${oc.env:HOME}"),
    ([*RUN, "graph=null"], "graph", "expected one of", "'null'"),
    ([*RUN, "~graph"], "graph", "graph=NAME", "None"),
    ([*RUN, "graph.nodes=null"], "nodes", "name: {op: ...}", "nothing"),
    ([*RUN, "graph.nodes.first.params.bye=3"], "nodes.first.params.bye", "? 'by'", "'bye'"),
    ([*RUN, "graph.nodes.first.inputs.x=models.m"], "nodes.first.inputs.x", "none", "'m'"),
    ([*RUN, "hydra/launcher=joblib"], "hydra/launcher", "--multirun beside it", "hydra/launcher=joblib"),
    ([*RUN, "--outputs", ""], "outputs[0]", "one of first", "''"),
    ([*RUN, "--outputs", "last.x"], "outputs[0]", "one of out", "'x'"),
    # models and experiments
    (["plan", "graph=text_to_image", "model=null"], "model", "expected one of", "null"),
    (["plan", "graph=text_to_image", "model=pipeline"], "models.base.source", "a value, such as", "???"),
    (["plan", "graph=text_to_image", "model.sorce=x"], "models.base.sorce", "? 'source'", "-"),
    (["plan", "graph=text_to_image", "model.loras=[{source: x, scle: 1}]"], "loras.0.scle", "? 'scale'", "-"),
    (["plan", "graph=text_to_image", "model.source={hub: a/b}"], "models.base.source", "commit", "None"),
    (["plan", "graph=text_to_image", "model.source=nowhere"], "models.base", "no such file or folder", "-"),
    (
        ["plan", "graph=text_to_image", "model.scheduler={name: eulr}"],
        "models.base.scheduler.name",
        "? 'euler'",
        "-",
    ),
    (
        ["plan", "graph=text_to_image", "model.scheduler={name: euler, beta_strt: 1}"],
        "models.base.scheduler.beta_strt",
        "? 'beta_start'",
        "'beta_strt'",
    ),
    (
        ["plan", "graph=text_to_image", "graph.nodes.prompt.params.options={clp_skip: 1}"],
        "nodes.prompt.params.options.clp_skip",
        "? 'clip_skip'",
        "-",
    ),
    (
        ["plan", "graph=text_to_image", "graph.nodes.denoise.params.options={noise: 3}"],
        "nodes.denoise.params.options.noise",
        "'auto'",
        "3",
    ),
    (
        ["plan", "graph=text_to_image", "model.dtype=half"],
        "models.base.dtype",
        "'float16'",
        "'half'",
    ),
    (["plan", "graph=text_to_image", "model.family=diffusers"], "models.base.controlnets", "components", "-"),
    # other commands
    (["model"], "model", "required: MODEL", "-"),
    (["model", ""], "''", "expected one of", "''"),
    (["model", "graphs"], "'graphs'", "expected one of", "'graphs'"),
    (["model", "pipeline"], "pipeline", "flowsynth model FOLDER", "-"),
    (["model", "shipped:pocket"], "shipped:pocket", "? 'pocket'", "-"),
    (["show", ""], "FILE", "the path of a file", "''"),
    (["show", "graphs/small.yaml"], "graphs/small.yaml", "an output of flowsynth", "-"),
    (["reproduce", ""], "FILE", "the path of a file", "''"),
    (["reproduce", "graphs/small.yaml"], "small.yaml", "an output of flowsynth", "-"),
    (["compare", "", "b"], "A", "the path of a file", "''"),
    (["compare", "graphs/small.yaml", "b", "--start", "soon"], "--start", '"36f"', "'soon'"),
    (["ops", ""], "''", "one of annotate", "''"),
    (["ops", "--json", "--markdown"], "ops", "one of --json", "--json, --markdown"),
    (["--version", "x"], "--version", "nothing goes with it", "'x'"),
    (["help", "runn"], "runn", "? 'run'", "'runn'"),
    (["cache", "stats", "cache.dir"], "cache", "cache.dir=PATH", "'cache.dir'"),
    (["cache", "clear", "cache.dir=graphs"], "graphs", "a cache, or an empty", "'small.yaml'"),
    (["cache", "prune", "cache.max_bytes=nan"], "cache.max_bytes", "20GB", "'nan'"),
    (["weights", "list", "rife-v4x"], "rife-v4x", "? 'rife-v4'", "-"),
    (["explain", ""], "''", "one of", "''"),
    (["graph", "graph=small", "-o", ""], "-o", "a file to write", "-"),
    (["plan", *SMALL[:2], "--outputs", "lst"], "outputs[0]", "? 'last'", "'lst'"),
]


def test_there_are_sixty() -> None:
    assert len(LINES) >= 60


@pytest.mark.sample(25)
@pytest.mark.parametrize("case", LINES, ids=[" ".join(line[0]) for line in LINES])
def test_command_lines(cli: Cli, home: Path, case: tuple[list[str], str, str, str]) -> None:
    line, *parts = case
    require_refused(cli(*line), *parts)
    assert not (home / "outputs").exists()


PLACES = {
    "a folder as a graph": ("mkdir graphs/x.yaml", ["plan", "graph=x"], "unknown graph"),
    "a pipe as a graph": ("mkfifo graphs/x.yaml", ["plan", "graph=x"], "unknown graph"),
    "a link to itself": ("ln -s x.yaml graphs/x.yaml", ["plan", "graph=x"], "unknown graph"),
    "a graph of gigabytes": ("truncate -s 3G graphs/x.yaml", ["plan", "graph=x"], "at most 16777216 bytes"),
    "a file as graphs": ("rm -r graphs; touch graphs", ["plan", "graph=small"], "unknown graph"),
    "a folder as a model": ("mkdir -p conf/model/x.yaml", ["plan", "model=x"], "unknown model"),
    "a damaged record": ("echo '{' > run.json", ["show", "run.json"], "expected run.json or sweep.json"),
    "a file as output folder": ("touch o", ["run", "graph=small", "output_dir=o/p"], "o is a file"),
    "a name too long": ("true", ["run", "graph=small", "cache.dir=" + "a" * 300], "File name too long"),
    "a folder of the system": ("true", ["run", "graph=small", "output_dir=/proc/x"], "a folder to write to"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="pipes and /proc")
@pytest.mark.parametrize("case", PLACES)
def test_places_that_are_no_files(cli: Cli, home: Path, case: str) -> None:
    make, line, message = PLACES[case]
    subprocess.run(make, shell=True, check=True, cwd=home)
    code, out, err = cli(*line)
    assert (code, out) == (2, ""), err
    assert message in err
    assert err.count("flowsynth: ") == 1


@pytest.mark.sample(2)
@pytest.mark.skipif(os.name != "posix", reason="shells")
@pytest.mark.parametrize(
    ("line", "redirect", "code"),
    [
        (["run", "graph=small", "cache.dir=c"], ">&-", 0),
        (["run", "graph=small", "cache.dir=c"], ">&- 2>&-", 0),
        (["run", "graph=small", "cache.dir=c"], "2>/dev/full", 0),
        (["run", "graph=small", "cache.dir=c"], ">/dev/full", 1),
        (["run", "graph=small", "cache.dir=c", "by=x"], "2>&-", 2),
        (["run", "graph=small", "cache.dir=c", "by=x"], "2>/dev/full", 2),
        (["ops"], ">&-", 0),
        (["--help"], ">&-", 0),
        (["ops", "--help"], "<&- >&- 2>&-", 0),
        (["ops", "--json"], "| head -1", 0),
    ],
)
def test_streams_that_are_closed_or_full(home: Path, line: list[str], redirect: str, code: int) -> None:
    command = " ".join([sys.executable, "-m", "flowsynth", "--operators", "my_ops.py", *line, redirect])
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=home, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_current_folder_that_is_gone(home: Path) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m flowsynth plan graph=toon"
    done = subprocess.run(
        command,
        shell=True,
        cwd=home,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("flowsynth: the current folder is no longer there")


def test_help_of_a_command_by_either_way(forked: Shell) -> None:
    assert forked("help", "run").stdout == forked("run", "--help").stdout != ""


def test_a_run_s_record_is_shown(cli: Cli, home: Path) -> None:
    assert cli("run", "graph=small", "cache.dir=c", "output_dir=out", "-q")[0] == 0
    code, out, err = cli("show", "out/run.json")
    assert code == 0, err
    assert "status    done" in out
    assert "op: step" in out
