"""CONTRIBUTING.md, "Add a detector": one new file, and `annotate` has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.copies import follow, python, recipe

HEADING = "Add a detector"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return follow(HEADING, tmp_path_factory.mktemp("detector"))


def test_it_is_one_file() -> None:
    assert len(recipe(HEADING)) == 1


def test_page_and_schema_name_it(copy: Path) -> None:
    page = python(copy, "-m", "flowsynth", "ops", "annotate")
    assert "- ``gradient``: how steep brightness is" in page
    assert '"gradient"' in python(copy, "-m", "flowsynth", "ops", "annotate", "--json-schema")


GRAPH = """
nodes:
  picture: {op: read_image, params: {path: "picture:astronaut", width: 30, height: 20}}
  map: {op: annotate, inputs: {frames: picture}, params: {detector: gradient, high: 0.5}}
outputs: [map]
"""


def test_a_graph_runs_it_and_its_code_is_in_the_key(copy: Path) -> None:
    code = f"""
import flowsynth as fs
graph = fs.Graph.from_yaml({GRAPH!r})
run = graph.run(cache_dir="cache")
frames = run["map"]
assert frames.kind == "gradient" and frames.tensor.shape == (1, 3, 20, 30), frames
assert 0 < frames.to_float().mean() < 0.9
print(run.record.nodes["map"].status)
"""
    assert python(copy, "-c", code).strip() == "computed"
    assert python(copy, "-c", code).strip() == "hit"
    file = copy / next(iter(recipe(HEADING)))
    file.write_text(file.read_text().replace("1e-3", "1.5e-3"))  # of another size: bytecode was written
    assert python(copy, "-c", code).strip() == "computed"


def test_a_mistake_is_told_before_a_run(copy: Path) -> None:
    code = f"""
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
for change in ("detector: gradint", "detector: gradient, weights: a.pth"):
    try:
        fs.Graph.from_yaml({GRAPH!r}.replace("detector: gradient", change)).plan(cache_dir="cache")
    except FlowsynthError as error:
        print(error)
"""
    told = python(copy, "-c", code)
    assert "nodes.map.params.detector" in told
    assert "'gradient'" in told
    assert "nodes.map.params.weights: with detector gradient" in told
