"""Graphs from mappings: stages, round trips, and every fault at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

import flowsynth as fs
from flowsynth.core.edges import Edge
from flowsynth.core.errors import GraphError
from flowsynth.core.graph import CoreGraph
from flowsynth.core.spec import build, to_spec


class Inc(fs.Operator):
    """Adds a step."""

    op = "inc"
    version = 1
    step: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        return x + self.step


class Total(fs.Operator):
    """Adds everything, given as text or numbers."""

    op = "total"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, text: str, xs: list[int] | None = None) -> int:
        return len(text)


def faults(data: object) -> dict[str, str]:
    with pytest.raises(GraphError) as caught:
        build(CoreGraph(), data)
    return {fault.path: str(fault) for fault in caught.value.faults}


def graph_of(nodes: dict[str, Any], **more: object) -> CoreGraph:
    graph = CoreGraph()
    build(graph, {"name": "t", "nodes": nodes, **more})
    return graph


def test_round_trip() -> None:
    spec = {
        "name": "t",
        "nodes": {
            "a": {"op": "inc", "params": {"step": 2}},
            "b": {"op": "inc", "inputs": {"x": "a"}, "device": "sim:1", "cache": "never"},
        },
        "outputs": ["b"],
    }
    graph = CoreGraph()
    build(graph, spec)
    assert to_spec(graph) == spec


def test_a_stage_mounts_twice_and_looks_outward() -> None:
    stage = {"inputs": {"start": "a"}, "nodes": {"one": {"op": "inc", "inputs": {"x": "start"}},
             "two": {"op": "inc", "inputs": {"x": "one"}}}}  # fmt: skip
    again = {**stage, "inputs": {"start": "up"}, "output": "two"}
    graph = graph_of(
        {"up": stage, "again": again, "a": {"op": "inc"}, "end": {"op": "inc", "inputs": {"x": "again"}}},
        outputs=["up.one", "again"],
    )
    assert graph.nodes["up/one"].inputs["x"] == (Edge("a"),)
    assert graph.nodes["again/one"].inputs["x"] == (Edge("up/two"),)
    assert graph.nodes["end"].inputs["x"] == (Edge("again/two"),)
    assert graph.wanted() == [Edge("up/one"), Edge("again/two")]


class Pair(NamedTuple):
    """Two numbers."""

    low: int
    high: int


class Halves(fs.Operator):
    """Two outputs."""

    op = "halves"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> Pair:
        return Pair(x // 2, x - x // 2)


def staged(given: dict[str, str], reads: str) -> dict[str, Any]:
    """A stage that is given something; outside there are nodes of the names that it might mean."""
    inner = {"one": {"op": "inc", "inputs": {"x": reads}}}
    two = {"op": "halves", "inputs": {"x": "a"}}
    return {"a": {"op": "inc"}, "clip": two, "other": two, "stage": {"inputs": given, "nodes": inner}}


def test_an_output_of_what_a_stage_was_given_is_that_ones() -> None:
    graph = graph_of(staged({"clip": "other"}, "clip.high"), outputs=["stage"])
    assert graph.nodes["stage/one"].inputs["x"] == (Edge("other", "high"),), "not the outer clip's"
    graph = graph_of(staged({"clip": "other.low"}, "clip"), outputs=["stage"])
    assert graph.nodes["stage/one"].inputs["x"] == (Edge("other", "low"),)
    nested = staged({"clip": "other"}, "clip.high")["stage"]
    outer = {"inputs": {"clip": "other"}, "nodes": {"in": {**nested, "inputs": {"clip": "clip"}}}}
    graph = graph_of({**staged({"clip": "other"}, "clip.low"), "outer": outer}, outputs=["outer"])
    assert graph.nodes["outer/in/one"].inputs["x"] == (Edge("other", "high"),)


def test_an_output_has_no_outputs() -> None:
    found = faults({"name": "t", "nodes": staged({"clip": "other.low"}, "clip.high")})
    assert "clip is other.low here, which has no outputs" in found["nodes.stage.nodes.one.inputs.x"]


@pytest.mark.parametrize(
    ("given", "reads", "near"),
    [({"clp": "other"}, "clip.high", "'clip'"), ({"clip": "other", "b": "a"}, "clip.low", "")],
)
def test_what_a_stage_is_given_and_does_not_read_is_a_fault(
    given: dict[str, str], reads: str, near: str
) -> None:
    found = faults({"name": "t", "nodes": staged(given, reads)})
    (path,) = [path for path in found if path.startswith("nodes.stage.inputs.")]
    assert "no node of the stage reads it" in found[path]
    assert near in found[path]


def test_all_faults_come_at_once_with_path_and_nearest() -> None:
    found = faults(
        {
            "name": "t",
            "nodes": {
                "a": {"op": "icn"},
                "b": {"op": "inc", "params": {"stp": 1}},
                "c": {"op": "inc", "params": {"step": "many"}},
                "d": {"op": "inc", "inputs": {"x": "e.put"}},
                "e": {"op": "inc", "inputs": {"y": "d"}},
                "f": {"op": "total", "inputs": {"text": "e"}},
                "g": {"op": "total"},
                "h": {"op": "inc", "inputs": {"x": "zz"}},
                "i": {"op": "inc", "inputs": {"x": 3}},
                "j": {"op": "inc", "inputs": {"x": "a"}, "device": "gpuu", "cache": "yes", "parms": {}},
            },
            "outputs": ["nope"],
        }
    )
    assert "did you mean 'inc'" in found["nodes.a.op"]
    assert "did you mean 'step'" in found["nodes.b.params.stp"]
    assert "'many'" in found["nodes.c.params.step"]
    assert "unknown output" in found["nodes.d.inputs.x"]
    assert "unknown port" in found["nodes.e.inputs.y"]
    assert "expected str; given int from e" in found["nodes.f.inputs.text"]
    assert "missing input" in found["nodes.g.inputs.text"]
    assert "no such node" in found["nodes.h.inputs.x"]
    assert "not an edge" in found["nodes.i.inputs.x"]
    assert {"nodes.j.device", "nodes.j.cache", "nodes.j.parms", "outputs[0]"} <= set(found)
    assert "did you mean 'params'" in found["nodes.j.parms"]
    assert "nodes.j.inputs.x" not in found


def test_a_cycle_is_printed_in_order() -> None:
    found = faults(
        {"nodes": {n: {"op": "inc", "inputs": {"x": m}} for n, m in [("a", "c"), ("b", "a"), ("c", "b")]}}
    )
    assert any(path in str(found) for path in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))


def node(**keys: object) -> dict[str, Any]:
    return {"nodes": {"a": {"op": "inc", **keys}}}


WRONG_SHAPES: list[object] = [
    None, [], {}, {"nodes": []}, {"nodes": {"a": 3}}, {"nodes": {"a": {"op": 3}}}, {"nodes": {"a": {}}},
    node(params=[1]), node(params={1: 2}), node(inputs="b"), node(_target_="os.system"),
    {"nodes": {"a": {"nodes": {}}}}, {"nodes": {"a b": {"op": "inc"}}}, node() | {"outputs": "a"},
    node() | {"models": ["x"]}, node() | {"_target_": "os.system"},
]  # fmt: skip


@pytest.mark.parametrize("data", WRONG_SHAPES)
def test_wrong_shapes_are_faults_not_tracebacks(data: object) -> None:
    assert faults(data)


def test_a_handle_is_checked_at_once() -> None:
    graph = CoreGraph()
    a = graph.add("a", Inc())
    graph.add("b", Inc(), x=a.out)
    with pytest.raises(GraphError, match=r"c\.inputs\.text: wrong type; expected str; given int from a"):
        graph.add("c", Total(), text=a)
    with pytest.raises(GraphError, match="defined twice"):
        graph.add("a", Inc())
    with pytest.raises(GraphError, match="not a node of this graph"):
        graph.add("d", Inc(), x=CoreGraph().add("a", Inc()))
    with pytest.raises(AttributeError, match="no output 'ouut'"):
        _ = a.ouut
