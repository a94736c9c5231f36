"""CONTRIBUTING.md, "Add an operator": one new file, and everything knows the verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.copies import follow, python, recipe


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return follow("Add an operator", tmp_path_factory.mktemp("operator"))


def test_it_is_one_file() -> None:
    assert len(recipe("Add an operator")) == 1


def test_the_command_line_describes_it(copy: Path) -> None:
    page = python(copy, "-m", "flowsynth", "ops", "mosaic")
    assert "size" in page
    assert "frames" in page


GRAPH = """
nodes:
  picture: {op: read_image, params: {path: "picture:astronaut", width: 30, height: 20}}
  squares: {op: mosaic, inputs: {frames: picture}, params: {size: 8}}
outputs: [squares]
"""


def test_a_graph_runs_it(copy: Path) -> None:
    code = f"""
import flowsynth as fs
frames = fs.Graph.from_yaml({GRAPH!r}).run(cache_dir="cache")["squares"].to_float()
assert frames.shape == (1, 3, 20, 30), frames.shape
assert (frames[..., :8, :8] == frames[..., :1, :1]).all()
assert (frames[..., 8:16, :8] == frames[..., 8:9, :1]).all()
print("done")
"""
    assert "done" in python(copy, "-c", code)


def test_a_mistake_is_told_before_a_run(copy: Path) -> None:
    code = f"""
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
try:
    fs.Graph.from_yaml({GRAPH.replace("size: 8", "size: 0")!r})
except FlowsynthError as error:
    print(error)
"""
    assert "nodes.squares.params.size" in python(copy, "-c", code)


def test_the_contracts_hold(copy: Path) -> None:
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts", "-k", "mosaic"]
    # Hydra, which brings a plug-in of pytest, was imported before the fork.
    tests = python(copy, *command, "-W", "ignore::pytest.PytestAssertRewriteWarning")
    assert "passed" in tests
