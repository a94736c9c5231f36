"""Whatever a file or a command line says: a graph comes of it, or one of our own errors, soon."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flowsynth as fs
from flowsynth.config import compose_request, sweep
from flowsynth.core.errors import FlowsynthError, RequestError

#: CPU seconds that nothing of this size may take.
LIMIT = 10.0
GRAPH: dict[str, Any] = {
    "settings": {"size": 8, "words": "a ${prompt}"},
    "models": {"base": "${model}"},
    "nodes": {
        "clip": {"op": "read_video", "params": {"path": "${input.video}", "max_frames": 4}},
        "small": {"op": "resize", "inputs": {"frames": "clip"}, "params": {"width": "${size}", "height": 8}},
        "stage": {
            "inputs": {"frames": "small"},
            "nodes": {"cut": {"op": "trim", "inputs": {"frames": "frames"}, "params": {"stop": 2}}},
        },
        "text": {"op": "text_encode", "inputs": {"model": "models.base"}, "params": {"prompt": "${words}"}},
    },
    "outputs": ["stage", "text"],
}
#: Pieces that mean something to one of the grammars.
PIECES = [
    *("${", "}", "${prompt}", "${oc.env:HOME}", "${graph}", "???", "null", "'", '"', "[", "]", "{", ":"),
    *(",", "=", "&a", "*a", "<<", "!!python/name:os.system", "%", "\\", "@", "#", "~", "+", "..", "/", "-"),
    *("\n", "\t", "\0", "_target_", "op", "nodes", "params", "inputs", "models.base", "clip", "stage.cut"),
    *("1e999", "0x", ".nan", "on"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map("".join)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    *("graph", "model", "input.video", "prompt", "seed", "experiment", "cache.dir", "output_dir", "device"),
    *("chunk", "size", "graph.name", "graph.outputs", "graph.nodes.small.params.width"),
    "graph.nodes.stage/cut.params.stop",
]
SIGNS = st.sampled_from(["", "+", "++", "~"])
LINES = TEXTS | st.tuples(SIGNS, st.sampled_from(KEYS) | TEXTS, st.just("="), TEXTS).map("".join)


@st.composite
def broken_graphs(draw: st.DrawFn) -> dict[str, Any]:
    """The graph with some of its parts replaced, renamed, dropped or added."""
    data: Any = json.loads(json.dumps(GRAPH))
    for _ in range(draw(st.integers(1, 3))):
        here = data
        for _ in range(draw(st.integers(0, 4))):
            inner = [part for part in here.values() if isinstance(part, dict) and part]
            if not inner:
                break
            here = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(sorted(here)) | TEXTS) if here else draw(TEXTS)
        if draw(st.booleans()):
            here[key] = draw(VALUES)
        else:
            moved = here.pop(key, None)
            if draw(st.booleans()):
                here[draw(TEXTS)] = moved
    return dict(data)


def outcome(folder: Path, overrides: list[str]) -> str:
    """What became of a request: its nodes, or the message."""
    began = time.process_time()
    try:
        graph = fs.Graph.from_dict(compose_request(overrides, folder).graph)
        said = str(sorted(graph.nodes))
        graph.wanted()
        assert fs.Graph.from_yaml(graph.to_yaml()).to_yaml() == graph.to_yaml()
    except RequestError as error:  # of exit code 2; any other error is a find
        said = str(error)
    assert time.process_time() - began < LIMIT
    assert len(said) < 100_000
    return said


def tried_file(content: bytes, where: str, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / where
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        if "experiment" in where:
            (folder / "graphs").mkdir()
            (folder / "graphs" / "fuzz.yaml").write_text(json.dumps(GRAPH))
        outcome(folder, overrides)


def tried_line(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "graphs").mkdir()
        (folder / "graphs" / "fuzz.yaml").write_text(json.dumps(GRAPH))
        outcome(folder, ["graph=fuzz", *lines])
        try:
            jobs = sweep(["graph=fuzz", *lines], folder)
        except RequestError:
            return
        assert len(jobs) >= 1


def test_the_graph_itself_is_right(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "fuzz.yaml").write_text(json.dumps(GRAPH))
    assert outcome(tmp_path, ["graph=fuzz"]) == str(["clip", "small", "stage/cut", "text"])


def fuzz(count: int) -> settings:
    """So many examples, the same every time."""
    checks = list(HealthCheck)
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=checks, database=None
    )


#: The gate looks at a few; the long run (-m slow) at many.
SIZES = [
    pytest.param(25, id="few"),
    pytest.param(1000, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
]
WRITTEN = st.sampled_from([*KEYS, "defaults", "hydra", "nodes"]) | TEXTS


@pytest.mark.parametrize("count", SIZES)
def test_graphs_with_broken_parts(count: int) -> None:
    @fuzz(count)
    @given(broken_graphs())
    def run(data: dict[str, Any]) -> None:
        tried_file(json.dumps(data).encode(), "graphs/fuzz.yaml", ["graph=fuzz"])

    run()


@pytest.mark.parametrize("count", SIZES)
def test_texts_that_are_no_graphs(count: int) -> None:
    good = json.dumps(GRAPH, indent=1)

    @fuzz(count)
    @given(st.integers(0, len(good)), st.integers(0, 40), TEXTS | st.binary(max_size=12))
    def run(start: int, cut: int, put: str | bytes) -> None:
        piece = put if isinstance(put, bytes) else put.encode("utf-8", "surrogatepass")
        content = good[:start].encode() + piece + good[start + cut :].encode()
        tried_file(content, "graphs/fuzz.yaml", ["graph=fuzz"])

    run()


@pytest.mark.parametrize("count", SIZES)
def test_experiments(count: int) -> None:
    @fuzz(count)
    @given(
        st.dictionaries(st.sampled_from([*KEYS, "defaults", "hydra", "nodes"]) | TEXTS, VALUES, max_size=3)
    )
    def run(values: dict[str, Any]) -> None:
        content = b"# @package _global_\n" + json.dumps(values).encode()
        tried_file(content, "conf/experiment/e.yaml", ["graph=fuzz", "experiment=e"])

    run()


@pytest.mark.parametrize("count", SIZES)
def test_command_lines(count: int) -> None:
    @fuzz(count)
    @given(st.lists(LINES, min_size=1, max_size=3))
    def run(lines: list[str]) -> None:
        tried_line(lines)

    run()


@pytest.mark.parametrize("count", SIZES)
def test_graphs_built_of_values(count: int) -> None:
    @fuzz(count * 5)
    @given(broken_graphs())
    def run(data: dict[str, Any]) -> None:
        data.pop("settings", None)
        try:
            fs.Graph.from_dict(data)
        except FlowsynthError:
            return

    run()
