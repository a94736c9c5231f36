"""The parts ``hydra`` and ``sweep`` of a configuration, ``${now:...}`` and ``${hydra:...}``."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from flowsynth.config import Composer, asked_sweep, compose_request
from flowsynth.config.asked import first_lines
from flowsynth.config.composition import composed_values
from flowsynth.config.hydra_optuna import search_lines, swept_keys
from flowsynth.config.plugins import LAUNCHERS, REFUSED, SWEEPERS
from flowsynth.config.runtime import Runtime
from flowsynth.core.errors import GraphError, RequestError
from flowsynth.sweeps.compose import jobs_of
from tests.config.conftest import Writer

GLOBAL = "# @package _global_\n"
GRAPH = """
settings: {text: a, by: 1}
nodes:
  a: {op: contrast, inputs: {frames: clip}, params: {contrast: "${by}"}}
  clip: {op: read_video, params: {path: "${text}"}}
outputs: [a]
"""


@pytest.fixture
def graph(folder: Writer) -> Writer:
    folder("graphs/g.yaml", GRAPH)
    return folder


def test_a_section_acts_in_a_single_run_and_in_a_sweep(graph: Writer) -> None:
    graph(
        "conf/experiment/e.yaml",
        GLOBAL
        + "defaults: [override /graph: g]\n"
        + "hydra:\n  run: {dir: 'single/${now:%Y}'}\n  sweep: {dir: 'swept/${now:%Y}', subdir: 'by_${by}'}\n"
        + "  sweeper: {params: {by: '1,2', text: b}}\n",
    )
    year = datetime.now().astimezone().year
    single = compose_request(["experiment=e"])
    assert single.settings.output_dir == Path(f"single/{year}")
    assert "hydra" not in single.values
    jobs = jobs_of(["experiment=e"])
    assert [job.folder for job in jobs] == ["by_1", "by_2"]
    assert {str(job.asked()[1].output_dir) for job in jobs} == {f"swept/{year}"}
    assert [job.overrides for job in jobs] == [[f"by={by}", "text=b", "experiment=e"] for by in (1, 2)]
    typed = jobs_of(["experiment=e", "by=3", "hydra.sweep.dir=x", "hydra.sweep.subdir=n/${hydra:job.num}"])
    assert [(job.folder, str(job.asked()[1].output_dir)) for job in typed] == [("n/0", "x")]
    assert typed[0].asked()[0].request.overrides == ["by=3", "text=b", "experiment=e"]


def test_params_on_the_command_line_act_without_quotes(graph: Writer) -> None:
    lines = ["graph=g", "hydra.sweeper.params.by=1,2", "hydra.sweeper.params.text=x"]
    assert [job.overrides for job in jobs_of(lines)] == [[f"by={by}", "text=x", "graph=g"] for by in (1, 2)]


def test_what_a_job_is_goes_into_its_params_and_so_into_its_key(graph: Writer) -> None:
    lines = ["graph=g", "by=5,6,7", "text='${hydra:job.num}_${hydra.job.override_dirname}_${now:%H%M%S%f}'"]
    runtime = Runtime(sweeping=True)
    composer = Composer(["by"], runtime=runtime)
    paths = []
    for number in range(3):
        own = [lines[0], f"by={5 + number}", lines[2]]
        made = composer.compose(own, number)
        params: Any = made.graph.nodes["clip"].operator
        paths.append(params.path)
        alone = compose_request(own, runtime=Runtime(runtime.now, number, True))
        assert alone.graph["nodes"]["clip"]["params"]["path"] == params.path
    assert composer.by_hydra == 1  # the others are the first one with other values
    assert [path.partition("_")[0] for path in paths] == ["0", "1", "2"]
    assert all(f"by={5 + number}," in path for number, path in enumerate(paths))
    assert len({path.rpartition("_")[2] for path in paths}) == 1  # one time for all of a sweep


def test_a_time_in_a_param_is_a_new_one_each_run(graph: Writer) -> None:
    def made() -> Any:
        return compose_request(["graph=g", "text='${now:%f}'"]).graph["nodes"]["clip"]["params"]["path"]

    first = made()
    time.sleep(0.001)
    assert made() != first


def test_the_folder_and_the_choices_are_known(graph: Writer) -> None:
    given = "text='${hydra:runtime.cwd}|${hydra:runtime.choices.graph}|${hydra:job.name}'"
    values = composed_values(["graph=g", given], resolve=True)
    assert values["text"] == f"{Path.cwd()}|g|flowsynth"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["hydra/launcher=joblib"], ["hydra/launcher: not used by a single run", "--multirun"]),
        (["hydra.sweep.dir=x"], ["not used by a single run", "output_dir=PATH"]),
        (["sweep.objective=x"], ["sweep.objective: not used by a single run"]),
        (["hydra.run.dir=x", "output_dir=y"], ["two folders", "x and y"]),
        (["hydra.rum.dir=x"], ["did you mean 'hydra.run.dir'"]),
        (["hydra.mode=MULTIRUN"], ["expected --multirun"]),
        (["hydra.verbose=true"], ["expected --debug"]),
        (["hydra.job.chdir=true"], ["output_dir=PATH"]),
        (["hydra.job.num=3"], ["${hydra:job.num}"]),
        (["hydra.searchpath=[file://x]"], ["graphs/ and conf/"]),
        (["hydra.callbacks.x=1"], ["hydra.callbacks.x", "an operator"]),
        (["hydra/job_logging=none"], ["hydra.job_logging: not used here"]),
        (["hydra/env=none"], ["expected one of hydra/launcher"]),
        (["hydra.launcher=joblib"], ["chosen by its name; expected hydra/launcher=NAME"]),
        (["hydra.launcher._target_=os.system"], ["hydra.launcher._target_", "hydra/launcher=NAME"]),
        (["text='${hydra:job.num}'"], ["needs hydra.job.num", "only jobs of a sweep have it"]),
        (["text='${hydra:job.nun}'"], ["did you mean 'hydra.job.num'"]),
        (["text='${now:}'"], ["${now:%Y-%m-%d"]),
    ],
)
def test_what_does_not_act_in_a_run_is_refused(graph: Writer, lines: list[str], words: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        compose_request(["graph=g", *lines])
    assert not [word for word in words if word not in str(caught.value)], caught.value


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["hydra.run.dir=x"], ["not used by a sweep", "hydra.sweep.dir=PATH"]),
        (["hydra/launcher=joblb"], ["did you mean 'joblib'"]),
        (["hydra/launcher=joblib,ray"], ["several values; expected one value"]),
        (["hydra/launcher=[joblib,ray]"], ["hydra/launcher: several values"]),
        (["hydra/launcher=joblib", "hydra.launcher.n_job=2"], ["did you mean 'n_jobs'"]),
        (["hydra.launcher.n_jobs=2"], ["expected hydra/launcher=NAME beside it"]),
        (["hydra/launcher=ray", "hydra.launcher.ray.init.runtime_env={}"], ["runtime_env", "no such key"]),
        (["hydra/sweeper/sampler=random"], ["expected hydra/sweeper=optuna beside it"]),
        (["hydra/sweeper=optuna", "hydra.sweeper.sampler.sed=1"], ["did you mean 'seed'"]),
        (["hydra/sweeper=optuna", "hydra.sweeper.custom_search_space=a.b"], ["hydra.sweeper.params"]),
        (["hydra.sweep.subdir=same"], ["several jobs in one folder", "jobs 0 and 1"]),
        (["hydra.sweep.subdir=../x"], ["not below the sweep's folder"]),
        (["hydra.sweep.subdir=/x"], ["not below the sweep's folder"]),
        (["hydra.sweep.dir=a", "output_dir=b"], ["two folders"]),
        (["hydra.sweep.dir="], ["hydra.sweep.dir: no folder"]),
        (["hydra.sweep=1"], ["hydra.sweep: not used here"]),
        (["hydra.sweeper.params.bye=1,2"], ["bye: no such key", "did you mean 'by'"]),
        (["hydra.sweeper.params={by: [1, 2]}"], ["hydra.sweeper.params.by: a list", "1,2"]),
        (["sweep.objectiv=x"], ["did you mean 'objective'"]),
        (["sweep.objective={a: b}"], ["sweep.objective: no metric"]),
        *[
            ([f"{group}={name}"], [reason])
            for group, names in REFUSED.items()
            for name, reason in names.items()
        ],
    ],
)
def test_what_does_not_act_in_a_sweep_is_refused(graph: Writer, lines: list[str], words: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        jobs_of(["graph=g", "by=1,2", *lines])
    assert not [word for word in words if word not in str(caught.value)], caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hydra: {mode: MULTIRUN}", ["e.yaml: hydra.mode", "--multirun"]),
        ("hydra: {launcher: joblib}", ["e.yaml: hydra.launcher: chosen by its name"]),
        ("hydra: {sweep: {dri: x}}", ["e.yaml: hydra.sweep.dri", "did you mean 'hydra.sweep.dir'"]),
        ("hydra: {launcher: {n_jobs: 2}}", ["hydra.launcher.n_jobs: no such key"]),
        (
            "defaults: [override /hydra/launcher: submitit_slurm]\nhydra: {launcher: {setup: [rm x]}}",
            ["e.yaml: hydra.launcher.setup: a shell's commands", "on the command line"],
        ),
        (
            "defaults: [override /hydra/sweeper: nevergrad]",
            ["nevergrad is not supported", "hydra/sweeper=optuna"],
        ),
        ("defaults: [override /hydra/sweeper: optun]", ["optun"]),
    ],
)
def test_what_a_file_may_not_set_is_refused(graph: Writer, text: str, words: list[str]) -> None:
    graph("conf/experiment/e.yaml", GLOBAL + text)
    with pytest.raises(RequestError) as caught:
        asked_sweep(["graph=g", "by=1,2", "experiment=e"])
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_jobs_that_would_be_run_in_different_ways_are_refused(graph: Writer) -> None:
    graph("conf/experiment/one.yaml", GLOBAL + "hydra: {sweep: {dir: one}}")
    graph("conf/experiment/two.yaml", GLOBAL + "hydra: {sweep: {dir: two}}")
    with pytest.raises(GraphError, match="hydra: differs between jobs"):
        jobs_of(["graph=g", "experiment=one,two"])


def test_a_folder_of_hydra_s_own_groups_is_never_read(graph: Writer) -> None:
    graph("conf/hydra/launcher/joblib.yaml", "_target_: os.system")
    graph("conf/hydra/launcher/mine.yaml", "_target_: os.system")
    assert asked_sweep(["graph=g", "hydra/launcher=joblib"]).doors.launcher_options == {}
    with pytest.raises(RequestError, match="unknown hydra/launcher"):
        asked_sweep(["graph=g", "hydra/launcher=mine"])


def test_a_search_takes_what_ranges_and_intervals_mean_elsewhere(graph: Writer) -> None:
    lines = ["graph=g", "seed=1..4", "by=range(0,1,0.25)", "text=a,b", "x=interval(1,2)", "y=range(9,0,-3)"]
    assert search_lines(lines, grid=False) == [
        "graph=g",
        "seed=range(1,4,1)",
        "by=range(0.0,0.75,0.25)",
        "text=a,b",
        "x=interval(1,2)",
        "y=9,6,3",
    ]
    assert swept_keys(lines) == ["seed", "by", "text", "x", "y"]
    assert search_lines(lines[:2], grid=True) == ["graph=g", "seed=1,2,3,4"]
    assert first_lines(lines)[1:5] == ["seed=1", "by=0.0", "text=a", "x=1.382"]
    with pytest.raises(GraphError, match="nothing to search in"):
        search_lines(["graph=g"], grid=False)
    with pytest.raises(GraphError, match="zip in a search"):
        search_lines(["by=zip(1,2)"], grid=False)
    with pytest.raises(GraphError, match="cannot be counted"):
        search_lines(["by=interval(0,1)"], grid=True)


def test_a_first_value_that_had_to_be_whole_is_found_out(graph: Writer) -> None:
    assert first_lines(["x=int(interval(1,9))"]) == ["x=1"]


def test_every_plugin_says_how_to_get_it() -> None:
    for plugins in (LAUNCHERS, SWEEPERS):
        for name, plugin in plugins.items():
            assert (name == "basic") == (not plugin.package)
            assert (name == "basic") == (not plugin.install)
