"""CONTRIBUTING.md, "Add a family": one new folder, and all verbs have one more kind of model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recipes.copies import follow, python, recipe

HEADING = "Add a family"
GRAPH = """
models:
  base: {family: colours, source: palette, gain: 1.0}
nodes:
  prompt: {op: text_encode, inputs: {model: models.base}, params: {prompt: red}}
  latents: {op: empty_latents, inputs: {model: models.base}, params: {height: 8, width: 12, num_frames: 3}}
  made: {op: denoise, inputs: {model: models.base, latents: latents, conditioning: prompt}}
  frames: {op: vae_decode, inputs: {model: models.base, latents: made}}
  again: {op: vae_encode, inputs: {model: models.base, frames: frames}}
  moved:
    op: denoise
    inputs: {model: models.base, latents: again, conditioning: prompt}
    params: {strength: 0.5, options: {invert: true}}
  out: {op: vae_decode, inputs: {model: models.base, latents: moved}, params: {dtype: float32}}
outputs: [frames, out]
"""
RUN = f"""
import flowsynth as fs
run = fs.Graph.from_yaml({GRAPH!r}).run(cache_dir="cache")
for name in ("frames", "out"):
    print(name, tuple(run[name].tensor.shape), run[name].tensor[-1, :, -1, -1].tolist())
print("computed", sorted(n for n, node in run.record.nodes.items() if node.status == "done"))
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = follow(HEADING, tmp_path_factory.mktemp("family"))
    (folder / "palette").mkdir()
    return folder


@pytest.fixture
def copy(followed: Path) -> Path:
    palette = {"red": [1, 0, 0], "teal": [0, 0.5, 0.5]}
    (followed / "palette" / "palette.json").write_text(json.dumps(palette))
    return followed


def test_it_is_one_folder() -> None:
    assert {Path(path).parent.as_posix() for path in recipe(HEADING)} == {"flowsynth/models/families/colours"}


def test_all_verbs_run_in_a_graph_and_files_count_by_content(copy: Path) -> None:
    first = python(copy, "-c", RUN)
    assert "frames (3, 3, 8, 12) [255, 0, 0]" in first
    assert "out (3, 3, 8, 12) [0.5, 0.5, 0.5]" in first
    assert "computed []" in python(copy, "-c", RUN)
    (copy / "palette" / "palette.json").write_text(json.dumps({"red": [0, 1, 0]}))
    assert "frames (3, 3, 8, 12) [0, 255, 0]" in python(copy, "-c", RUN)


def test_faults_come_before_a_run_all_at_once_and_without_torch(copy: Path) -> None:
    bad = GRAPH.replace("prompt: red", "prompt: rod").replace("invert: true", "invrt: 1")
    code = f"""
import sys
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
try:
    fs.Graph.from_yaml({bad!r})
except FlowsynthError as error:
    print(error)
print({{"torch", "diffusers"}} & set(sys.modules))
"""
    told = python(copy, "-c", code, bare=True)
    assert "nodes.prompt.params.prompt: no such colour; expected red, teal; given 'rod'" in told
    assert "did you mean 'red'" in told
    assert "nodes.moved.params.options.invrt: unknown key; expected invert; did you mean 'invert'" in told
    assert told.endswith("set()\n")


def test_the_command_line_describes_its_options(copy: Path) -> None:
    page = python(copy, "-m", "flowsynth", "ops", "denoise")
    assert "Options of family colours:" in page
    assert "the complement of the colour" in page
