"""What an operator wants said is said whenever its result is given, and what changed is told truly."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.context import RunContext
from flowsynth.core.events import Observer
from flowsynth.core.streams import Map, Source, StreamInfo, StreamKind
from flowsynth.core.yaml_dump import dump_yaml
from flowsynth.core.yaml_text import load_yaml
from flowsynth.values import Frames
from tests.executors.dags import Plus
from tests.streams import Counter, Sum, write_source


class Film(Counter):
    """A source that notes something of its file, when asked for its length."""

    op = "notes_film"

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        ctx.note("the file has no sound")
        return super().probe(ctx)


class Says(fs.Operator):
    """A map that notes something of some chunks, and may fail then."""

    op = "notes_says"
    version = 1
    positional = True
    fails: bool = False

    def stream(self) -> StreamKind:
        return Map()

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        ctx.note("too dark" if ctx.span and ctx.span.start else "first frames are grey")
        if self.fails and ctx.span and ctx.span.start:
            raise ValueError("no")
        return frames


class Heard(Observer):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, node: str, text: str) -> None:
        """Keep one."""
        self.notes.append((node, text))


def film(source: Path, fails: bool = False) -> Graph:
    g = Graph("film")
    clip = g.add("clip", Film(path=source))
    g.add("sum", Sum(), frames=g.add("says", Says(fails=fails), frames=clip))
    return g


SAID = {"clip": ["the file has no sound"], "says": ["first frames are grey", "too dark"], "sum": []}


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_notes_are_said_by_runs_hits_and_parts_of_hits(tmp_path: Path, executor: str) -> None:
    source = write_source(tmp_path / "s.txt", range(20))
    for outputs in (["sum"], ["sum"], ["says"], ["sum", "says", "clip"]):
        heard = Heard()
        g = film(source)
        run = g.run(cache_dir=tmp_path / "cache", executor=executor, observer=heard, outputs=outputs)
        for name, node in run.record.nodes.items():
            assert sorted(node.notes) == SAID[name]
            assert sorted(text for where, text in heard.notes if where == name) == SAID[name]


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_notes_are_said_of_what_failed(tmp_path: Path, executor: str) -> None:
    g, heard = film(write_source(tmp_path / "s.txt", range(20)), fails=True), Heard()
    run = g.run(cache_dir=tmp_path / "cache", executor=executor, check=False, observer=heard)
    assert sorted(run.record.nodes["says"].notes) == SAID["says"]
    assert ("says", "too dark") in heard.notes


def test_explain_after_a_run_of_a_part(tmp_path: Path) -> None:
    def graph(step: int) -> Graph:
        g = Graph("part")
        a = g.add("a", Plus(step=step))
        g.add("b", Plus(step=1), x=a)
        g.add("c", Plus(step=2), x=a)
        return g

    graph(1).run(cache_dir=tmp_path)
    graph(5).run(cache_dir=tmp_path, outputs=["b"])
    assert graph(5).explain("a", cache_dir=tmp_path) == []
    assert graph(5).explain("b", cache_dir=tmp_path) == []
    (line,) = graph(5).explain("c", cache_dir=tmp_path)
    assert line.startswith("inputs.x (from a): ")
    assert graph(1).explain("c", cache_dir=tmp_path) == []
    assert graph(1).explain("a", cache_dir=tmp_path) == ["params.step: 5 -> 1"]


@pytest.mark.parametrize(
    "text",
    [
        "1e5",
        "09",
        "0o17",
        "0x1F",
        "1e+5",
        "12e03",
        ".5",
        "1.",
        "+1",
        "-.inf",
        "null",
        "~",
        "",
        "true",
        "No",
        "1_000",
    ],
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    value = {"a": text, text: ["x", text]}
    dumped = dump_yaml(value)
    assert load_yaml(dumped, "t") == value
    assert dump_yaml(load_yaml(dumped, "t")) == dumped
