"""Orders and outcomes are plain data: another process carries them out on the same cache folder."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api import Graph, Run, Session
from flowsynth.api.host import Host
from flowsynth.core.context import RunContext
from flowsynth.core.events import Observer
from flowsynth.core.options import RunOptions
from flowsynth.core.refs import JsonRef, ObjectRef
from flowsynth.core.streams import Span
from flowsynth.executors.engine import Engine
from flowsynth.executors.order import Cut, Given, Order, Outcome, Piece
from flowsynth.executors.tasks import Role
from flowsynth.operators.diffusion.text_encode import TextEncode
from tests.executors.answering import Elsewhere, another_process, elsewhere
from tests.executors.dags import Against, Blend, Draw, Kernel, Norm, Plus, random_graph
from tests.executors.lives import identity
from tests.streams import Counter, Invert, Mean, Reverse, Smooth, Sum, Twice, write_source
from tests.tiny import tiny_sd


@pytest.fixture(scope="module")
def line() -> Iterator[Connection]:
    """To a process that answers orders."""
    with another_process() as line:
        yield line


class Refuses(fs.Operator):
    """Raises, with a note."""

    op = "o_refuses"
    version = 1

    def run(self, ctx: RunContext, /, *, x: int) -> int:
        ctx.note("it was asked")
        raise fs_error()


def fs_error() -> Exception:
    from flowsynth.core.errors import InputError

    return InputError("not this one")


def every_kind(source: Path) -> Graph:
    """Whole values, chunks, windows, a resampling, a scan with its state, a fold, a fan-in, and a model."""
    g = Graph("kinds")
    clip = g.add("clip", Counter(path=source))
    inverse = g.add("inverse", Invert(), frames=clip)
    mean = g.add("mean", Mean(), frames=inverse, device="sim:1")
    twice = g.add("twice", Twice(), frames=mean)
    smooth = g.add("smooth", Smooth(), frames=twice)
    g.add("sum", Sum(), frames=smooth)
    g.add("blend", Blend(), clips=[clip, mean])
    g.add("reverse", Reverse(), frames=mean)
    number = g.add("number", Plus(step=3))
    drawn = g.add("drawn", Draw(count=20), seed=number)
    g.add("against", Against(), frames=drawn, reference=mean)
    g.add("norm", Norm(), kernel=g.add("kernel", Kernel(), x=number), frames=drawn)
    model = g.model("base", {"family": "sd", "source": str(tiny_sd() / "base")})
    g.add("text", TextEncode(prompt="a cat"), model=model)
    g.outputs = ["smooth", "sum", "blend", "reverse", "against", "norm", "text"]
    return g


def run_elsewhere(g: Graph, cache: Path, other: Elsewhere, **given: object) -> Run:
    """Run a graph so that everything is computed by the other process."""
    options = RunOptions.of({"cache_dir": cache, **given})
    with Session.of(options) as session:
        plan = session.plan(g)
        host = Host(session, g.models)
        engine = Engine(plan, session.cache, host, options, Observer(), crew=lambda _: other)
        return Run(plan, engine.run(), session.cache, engine.shelf)


def same(one: Run, other: Run, names: list[str]) -> None:
    for name in names:
        assert identity(one[name]) == identity(other[name]), name


@pytest.mark.parametrize(("executor", "chunk"), [("serial", 16), ("threads", 7)])
def test_another_process_computes_every_kind_of_task(
    line: Connection, tmp_path: Path, executor: str, chunk: int
) -> None:
    g = every_kind(write_source(tmp_path / "s.txt", range(40)))
    here = g.run(cache_dir=tmp_path / "here", chunk=chunk)
    cache = tmp_path / "there"
    with elsewhere(line, cache) as other:
        there = run_elsewhere(g, cache, other, executor=executor, chunk=chunk)
        same(there, here, g.outputs)
        done = len(other.orders)
        again = run_elsewhere(g, cache, other, executor=executor, chunk=chunk)
        assert len(other.orders) == done, "all hits"
        same(again, here, g.outputs)
    assert there.record.nodes["smooth"].tasks.computed == here.record.nodes["smooth"].tasks.computed
    orders = [Order.from_bytes(data) for data in other.orders]
    assert {order.role for order in orders} == set(Role) - {Role.END}, "nobody carries an end out"
    assert any(given.port == "$state" for order in orders for given in order.inputs)
    assert [order.to_bytes() for order in orders] == other.orders
    outcomes = [Outcome.from_bytes(data) for data in other.outcomes]
    assert [outcome.to_bytes() for outcome in outcomes] == other.outcomes
    # One cache, whoever computed: this process now takes everything from there.
    assert {n.status for n in g.run(cache_dir=cache, chunk=chunk).record.nodes.values()} == {"hit"}


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_elsewhere_with_objects_lost_between(
    line: Connection, tmp_path: Path, seed: int
) -> None:
    g, values = random_graph(seed, tmp_path)
    cache = tmp_path / "cache"
    with elsewhere(line, cache) as other:
        for _ in range(2):
            run = run_elsewhere(g, cache, other, chunk=8)
            for edge in g.wanted():
                assert identity(run[f"{edge.node}.{edge.port}"]) == identity(
                    values[f"{edge.node}.{edge.port}"]
                )
            for path in sorted(p for p in (cache / "objects").rglob("*") if p.is_file())[::2]:
                path.unlink()


def test_what_is_missing_and_what_fails_is_answered_as_data(line: Connection, tmp_path: Path) -> None:
    piece = Given("frames", False, (Cut("frames", "h", (Piece("0" * 40, 2, 5),)),))
    span = Span(3, 7, 20, {"frames": (2, 9)}, lead=1, tail=2, geometry=[1, {"a": 2.5}])
    lacking = Order("m", Invert(), Role.CHUNK, span, "cpu", (piece,), {}, "k")
    number = Given("x", False, (JsonRef("4", "h"),))
    failing = Order("f", Refuses(), Role.WHOLE, None, "cpu", (number,), {}, "k")
    with elsewhere(line, tmp_path / "cache") as other:
        assert other(lacking) == Outcome(missing=("0" * 40,))
        assert other(failing) == Outcome(notes=("it was asked",), failed="f: not this one", code=2)
    for order in (lacking, failing):
        assert Order.from_bytes(order.to_bytes()) == order


def test_an_order_round_trips_with_all_that_it_may_hold() -> None:
    parts = (JsonRef('{"b":[1,null,"x"]}', "h1"), ObjectRef("tensors", "h2", 12), Cut("frames", "h3", ()))
    order = Order(
        "n", Plus(step=9), Role.COMBINE, None, "sim:3", (Given("p", True, parts),), {"m": ("a", "b")}, "key",
        {"a": {"family": "sd", "source": "x"}, "b": {"family": "sd", "scale": 0.5}}, True, False, "never",
        True, "c", {"op": "i"},
    )  # fmt: skip
    assert Order.from_bytes(order.to_bytes()) == order
    assert order.inputs[0].objects() == ["h2"]
    assert order.inputs[0].hash == "[h1,h2,h3]"
