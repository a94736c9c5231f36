"""What a sweeper goes by: figures that are looked up before a job is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.core.errors import GraphError
from flowsynth.core.record import JobRecord, SweepRecord
from flowsynth.sweeps.metrics import metrics
from flowsynth.sweeps.objective import Objective, measured, objective_of

GRAPH = """
nodes:
  clip: {op: read_video, params: {path: "clip:default", short_side: 48, max_frames: 3}}
  made: {op: contrast, inputs: {frames: clip}, params: {contrast: 0.5}}
  figures: {op: measure, inputs: {frames: made, reference: clip}, params: {extended: true}}
  own: {op: measure, inputs: {frames: made}}
  still: {op: contact_sheet, inputs: {frames: made}, params: {count: 1}}
outputs: [still]
"""


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fs.Graph:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "g.yaml").write_text(GRAPH)
    return fs.compose("g")


def row(job: int, status: Any = "done", **figures: float) -> JobRecord:
    found = {f"m.{name}": value for name, value in figures.items()}
    return JobRecord(job=job, overrides=[f"x={job}"], status=status, folder=str(job), metrics=found)


def test_the_figures_named_are_those_that_a_run_gives(graph: fs.Graph, tmp_path: Path) -> None:
    run = graph.run(outputs=["figures", "own"], cache_dir=tmp_path / "cache")
    given = {name for name, _ in metrics(run)}
    named = {f"{node}.{name}" for node in ("figures", "own") for name in measured(graph.nodes[node])}
    assert given == named


def test_names_may_be_short_and_directions_are_known(graph: fs.Graph) -> None:
    made = objective_of(["psnr", "own.flicker"], None, graph, None)
    assert made == Objective(("figures.psnr", "own.flicker"), ("maximize", "minimize"))
    assert objective_of(["figures.psnr"], "minimize", graph, None).directions == ("minimize",)
    assert objective_of(["still"], "maximize", graph, None).names == ("still",)  # an output may be a number


@pytest.mark.parametrize(
    ("names", "direction", "words"),
    [
        ([], None, ["sweep.objective: not set", "figures.psnr", "own.flicker"]),
        (["figures.psnrr"], None, ["no such figure", "did you mean 'figures.psnr'"]),
        (["own.psnr"], None, ["no such figure"]),
        (["figures.lpips"], None, ["no such figure"]),
        (["made.psnr"], None, ["no such figure"]),
        (["flicker"], None, ["may mean several", "figures.flicker, own.flicker"]),
        (["own.sharpness"], None, ["is less better, or more?", "hydra.sweeper.direction=minimize|maximize"]),
        (["psnr"], "maximise", ["no direction of figures.psnr", "did you mean 'maximize'"]),
        (["psnr", "ssim"], ["maximize"], ["1 directions; expected 2"]),
        (["psnr"], {"a": 1}, ["no direction"]),
    ],
)
def test_what_is_no_objective_is_refused(
    graph: fs.Graph, names: list[str], direction: Any, words: list[str]
) -> None:
    with pytest.raises(GraphError) as caught:
        objective_of(names, direction, graph, None)
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_a_job_without_its_figure_says_so() -> None:
    one, two = Objective(("m.a",), ("minimize",)), Objective(("m.a", "m.b"), ("minimize", "maximize"))
    assert one.of(row(0, a=2)) == 2
    assert two.of(row(0, a=2, b=3)) == [2, 3]
    assert "job 0 has no figure m.b; it has m.a" in str(two.of(row(0, a=2)))
    failed = row(1, "failed").model_copy(update={"errors": ["no"]})
    assert "job 1 failed: no" in str(one.of(failed))


def test_the_best_jobs_are_those_that_none_beats() -> None:
    table = SweepRecord(jobs=[row(0, a=1, b=1), row(1, a=2, b=2), row(2, a=2, b=1), row(3, a=1, b=1)])
    two = Objective(("m.a", "m.b"), ("minimize", "maximize"))
    assert [line.split(":")[1] for line in two.told(table)] == [" job 0", " job 1", " job 3"]
    assert Objective(("m.b",), ("maximize",)).told(table) == ["best: job 1: m.b = 2: x=1"]
