"""Names mean the same wherever one may be written, and ports take what their types say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.errors import GraphError
from flowsynth.core.operator import DEFINED
from flowsynth.core.ports import ports_of
from flowsynth.values import Frames
from tests.streams import Counter, write_source


class Number(fs.Operator):
    """A number."""

    op = "names_number"
    version = 1
    value: int = 3

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        return self.value + x


class Pair(NamedTuple):
    """Two outputs."""

    low: int
    high: int


class Split(fs.Operator):
    """Two numbers."""

    op = "names_split"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> Pair:
        return Pair(x - 1, x + 1)


class Numbers(fs.Operator):
    """A list of numbers."""

    op = "names_numbers"
    version = 1

    def run(self, ctx: fs.RunContext, /) -> list[int]:
        return [7, 8]


class Total(fs.Operator):
    """Takes a list of numbers, or edges that bring one each."""

    op = "names_total"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, xs: list[int]) -> str:
        return "+".join(map(str, xs))


YAML = """
name: names
nodes:
  a: {op: names_number}
  stage:
    inputs: {start: a}
    nodes:
      one: {op: names_number, inputs: {x: start}}
      two: {op: names_split, inputs: {x: one}}
  end: {op: names_total, inputs: {xs: [stage.high, stage.two.low, stage.one, a]}}
outputs: [end, stage.low]
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", 3), ("end", "7+5+6+3"), ("stage.high", 7), ("stage.low", 5), ("stage", 5), ("stage.two", 5),
        ("stage.two.high", 7), ("stage.one", 6), ("stage/one", 6), ("stage/two.high", 7), (" a ", 3),
    ],
)  # fmt: skip
def test_outputs_and_results_take_the_same_names(tmp_path: Path, name: str, value: object) -> None:
    g = Graph.from_yaml(YAML)
    run = g.run(cache_dir=tmp_path / "cache", outputs=[name])
    assert run[name] == value
    assert Graph.from_yaml(g.to_yaml()).run(cache_dir=tmp_path / "cache")["end"] == "7+5+6+3"
    assert g.plan(cache_dir=tmp_path / "cache", outputs=[name]).executing() == []


def test_handles_are_names(tmp_path: Path) -> None:
    g = Graph("handles")
    a = g.add("a", Number())
    split = g.add("split", Split(), x="a")
    end = g.add("end", Total(), xs=["split.high", a, split.low])
    run = g.run(cache_dir=tmp_path, outputs=[end, split.high, "split"])
    assert run[end] == run["end"] == "4+3+2"
    assert (run[split.high], run[split], run["split.low"]) == (4, 2, 2)
    assert [str(edge) for edge in run.plan.wanted] == ["end", "split.high", "split.low", "split.high"][:4]


@pytest.mark.parametrize("bad", ["b", "split.middle", "models.x", "", "stage"])
def test_what_is_no_name_is_said(tmp_path: Path, bad: str) -> None:
    g = Graph("bad")
    g.add("split", Split(), x=g.add("a", Number()))
    with pytest.raises(GraphError, match="outputs"):
        g.run(cache_dir=tmp_path, outputs=[bad])
    with pytest.raises(GraphError, match=r"inputs\.xs"):
        g.add("end", Total(), xs=[bad, "a"])
    run = g.run(cache_dir=tmp_path)
    with pytest.raises(KeyError):
        run[bad]


@pytest.mark.parametrize("given", [Number, 3, None])
def test_what_is_no_operator_is_said(given: Any) -> None:
    with pytest.raises(GraphError, match=r"nodes\.a: not an operator; expected one with its parameters"):
        Graph("bad").add("a", given)


def test_an_operator_s_name_stands_for_it_with_params_and_ports_side_by_side(tmp_path: Path) -> None:
    g = Graph("named")
    a = g.add("a", "names_number", value=4)
    b = g.add("b", "names_number", x=a, value=1, device="cpu", cache="always")
    split = g.add("split", "names_split", x="b")
    g.outputs = [split.high, b]
    assert g.outputs == ["split.high", "b"]
    assert (str(a), str(split.high)) == ("a", "split.high")
    run = g.run(cache_dir=tmp_path)
    assert (run["split.high"], run[b]) == (6, 5)
    assert g.explain(b, cache_dir=tmp_path) == []
    assert Graph.from_yaml(g.to_yaml()).to_yaml() == g.to_yaml()
    assert g.nodes["b"].cache == "always"


@pytest.mark.parametrize(
    ("op", "given", "words"),
    [
        ("names_numbr", {}, r"nodes\.a\.op: unknown operator; .*; did you mean 'names_number'"),
        ("names_number", {"valu": 3}, r"nodes\.a\.valu: unknown port or param; .*; did you mean 'value'"),
        ("names_number", {"value": "x"}, r"nodes\.a\.params\.value: "),
        ("names_number", {"x": "nowhere"}, r"inputs\.x: not a node of this graph"),
        ("names_split", {}, r"nodes\.a\.inputs\.x: missing input"),
    ],
)
def test_what_is_wrong_beside_an_operator_s_name_is_said(op: str, given: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        Graph("bad").add("a", op, **given)


def test_a_list_of_numbers_is_a_list_of_edges_or_one_that_brings_a_list(tmp_path: Path) -> None:
    def result(**inputs: Any) -> object:
        g = Graph("lists")
        g.add("a", Number())
        g.add("b", Number(value=4))
        g.add("numbers", Numbers())
        end = g.add("end", Total(), **inputs)
        return g.run(cache_dir=tmp_path)[end]

    assert result(xs=["a", "b", "a"]) == "3+4+3"
    assert result(xs="numbers") == "7+8"
    assert result(xs=["numbers"]) == "7+8"
    assert result(xs="b") == result(xs=["b"]) == "4"
    with pytest.raises(GraphError, match="expected list of int; given list from numbers"):
        result(xs=["a", "numbers"])
    with pytest.raises(GraphError, match=r"inputs\.xs: missing input"):
        result(xs=[])


class Hints(fs.Operator):
    """Ports of types that people write."""

    op = "names_hints"
    version = 1

    def run(
        self,
        ctx: fs.RunContext,
        /,
        *,
        clips: Sequence[Frames],
        mode: Literal["a", "b"] = "a",
        more: Sequence[float] | None = None,
        any_: list[Any] | None = None,
    ) -> int | None:
        return None if mode == "b" else len(clips)


def test_types_that_people_write(tmp_path: Path) -> None:
    ports = ports_of(Hints)
    shown = {name: (port.type, port.many) for name, port in ports.inputs.items()}
    assert shown == {
        "clips": (Frames, True), "mode": (str, False), "more": (float, True), "any_": (object, True)
    }  # fmt: skip

    class Word(fs.Operator):
        """A text."""

        op = "names_word"
        version = 1
        text: str = "b"

        def run(self, ctx: fs.RunContext, /) -> str:
            return self.text

    g = Graph("hints")
    clip = g.add("clip", Counter(path=write_source(tmp_path / "s.txt", range(4))))
    none = g.add("none", Hints(), clips=[clip, clip], mode=g.add("word", Word()))
    some = g.add("some", Hints(), clips=[clip, clip])
    run = g.run(cache_dir=tmp_path / "cache", outputs=[none, some])
    assert (run[none], run[some]) == (None, 2)


def test_a_value_type_cannot_be_none() -> None:
    class Maybe(fs.Operator):
        """Perhaps a clip."""

        op = "names_maybe"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> Frames | None:
            return None

    del DEFINED["names_maybe"]  # else it would be among the operators that other tests list
    with pytest.raises(TypeError, match="'out' may be None, which no value type is"):
        ports_of(Maybe)
