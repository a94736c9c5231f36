"""What runs after a change, by counts: exactly what depends on it, and nothing where bytes stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Run
from tests.executors.lives import Add, Invert, Mean, Source, Spread, Sum, Trail
from tests.streams import write_source


class Clip(fs.Operator):
    """A number, at most a limit."""

    op = "t_clip"
    version = 1
    libraries = ()
    limit: int = 10

    def run(self, ctx: fs.RunContext, /, *, x: int) -> int:
        return min(x, self.limit)


def computed(run: Run) -> dict[str, int]:
    return {name: node.tasks.computed for name, node in run.record.nodes.items() if node.tasks.computed}


def diamond(step: int = 1, left: int = 2, limit: int = 10) -> Graph:
    g = Graph("diamond")
    a = g.add("a", Add(step=step))
    b = g.add("b", Add(step=left), x=a)
    c = g.add("c", Clip(limit=limit), x=a)
    d = g.add("d", Add(), x=b, y=c)
    g.add("e", Trail(), values=[g.add("m", Spread(), x=d), g.add("n", Spread(), x=c)])
    g.add("other", Add(step=100))
    return g


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_changed_param_runs_what_is_downstream(tmp_path: Path, executor: str) -> None:
    def run(**params: int) -> dict[str, int]:
        return computed(diamond(**params).run(cache_dir=tmp_path / "cache", executor=executor, keep="all"))

    assert run() == dict.fromkeys("abcdemn", 1) | {"other": 1}
    assert run() == {}
    assert run(left=3) == dict.fromkeys("bdem", 1)
    assert run(step=2) == dict.fromkeys("abcdemn", 1)
    assert run() == {}, "what was computed once stays"
    assert run(left=3) == {}


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_equal_bytes_stop_the_ripple(tmp_path: Path, executor: str) -> None:
    diamond().run(cache_dir=tmp_path / "cache", executor=executor, keep="all")
    run = diamond(limit=20).run(cache_dir=tmp_path / "cache", executor=executor, keep="all")
    assert computed(run) == {"c": 1}
    assert {name: node.status for name, node in run.record.nodes.items()} == {
        name: "computed" if name == "c" else "hit" for name in diamond().nodes
    }
    # a = 5 and a = 6 differ, but what they are cut to does not: only the other branch goes on.
    diamond(step=5, limit=3).run(cache_dir=tmp_path / "cache", executor=executor, keep="all")
    run = diamond(step=6, limit=3).run(cache_dir=tmp_path / "cache", executor=executor, keep="all")
    assert computed(run) == dict.fromkeys("abcdem", 1)


def streamed(source: Path, strength: int = 255, radius: int = 1) -> Graph:
    g = Graph("streamed")
    clip = g.add("clip", Source(path=source))
    mapped = g.add("mapped", Invert(strength=strength), frames=clip)
    g.add("mean", Mean(radius=radius), frames=mapped)
    g.add("total", Sum(), frames=mapped)
    g.outputs = ["mean", "total"]
    return g


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_streams_run_only_the_chunks_that_differ(tmp_path: Path, executor: str) -> None:
    source = write_source(tmp_path / "s.txt", range(48))

    def run(**params: int) -> dict[str, int]:
        return computed(streamed(source, **params).run(cache_dir=tmp_path / "cache", executor=executor))

    assert run() == {"clip": 3, "mapped": 3, "mean": 3, "total": 4}  # three segments and their sum
    assert run() == {}
    assert run(radius=3) == {"mean": 3}
    assert run(strength=254) == {"mapped": 3, "mean": 3, "total": 4}
    write_source(source, [*range(20), 999, *range(21, 48)])
    # The file is another one, so all of it is read; only its second chunk has other frames in it.
    assert run() == {"clip": 3, "mapped": 1, "mean": 1, "total": 2}
    write_source(source, [*range(16), 999, *range(17, 48)])
    # The new frame is in the halo of the chunk before as well.
    assert run() == {"clip": 3, "mapped": 1, "mean": 2, "total": 2}


def test_a_file_of_another_name_and_the_same_bytes_is_the_same(tmp_path: Path) -> None:
    first = write_source(tmp_path / "s.txt", range(20))
    streamed(first).run(cache_dir=tmp_path / "cache")
    second = write_source(tmp_path / "renamed.txt", range(20))
    assert computed(streamed(second).run(cache_dir=tmp_path / "cache")) == {}


def test_renaming_a_node_computes_nothing(tmp_path: Path) -> None:
    def graph(name: str) -> Graph:
        g = Graph("names")
        g.add("end", Add(step=3), x=g.add(name, Add(step=2)))
        return g

    graph("start").run(cache_dir=tmp_path / "cache")
    assert computed(graph("begin").run(cache_dir=tmp_path / "cache")) == {}


def test_only_what_the_outputs_need_runs(tmp_path: Path) -> None:
    run = diamond().run(cache_dir=tmp_path / "cache", outputs=["c"])
    assert computed(run) == {"a": 1, "c": 1}
    assert set(run.record.nodes) == {"a", "c"}


def test_graphs_and_runs_say_what_they_are(tmp_path: Path) -> None:
    g = Graph("two")
    g.add("b", Add(), x=g.add("a", Add(step=7)))
    assert repr(g) == "Graph('two', nodes=2, outputs=[])"
    assert repr(g.run(cache_dir=tmp_path / "cache")) == "Run('two', done, computed=2)"
    assert repr(g.run(cache_dir=tmp_path / "cache")) == "Run('two', done, hit=2)"


def test_never_is_never_kept(tmp_path: Path) -> None:
    def graph() -> Graph:
        g = Graph("never")
        g.add("b", Add(), x=g.add("a", Add(step=7), cache="never"))
        return g

    assert computed(graph().run(cache_dir=tmp_path / "cache")) == {"a": 1, "b": 1}
    # It runs again, gives the same, and so what reads it is a hit.
    assert computed(graph().run(cache_dir=tmp_path / "cache")) == {"a": 1}
