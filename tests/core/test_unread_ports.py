"""Ports that an operator leaves alone under its parameters: what feeds only them is neither run nor keyed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

import pytest

import flowsynth as fs
from flowsynth.core.errors import GraphError


class Number(fs.Operator):
    """A number."""

    op: ClassVar[str] = "t_unread_number"
    version: ClassVar[int] = 1
    value: int = 0

    def run(self, ctx: fs.RunContext, /) -> int:
        return self.value


class Fails(fs.Operator):
    """Never to be run."""

    op: ClassVar[str] = "t_unread_fails"
    version: ClassVar[int] = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> int:
        raise AssertionError("was run")


class Choose(fs.Operator):
    """One of two numbers."""

    op: ClassVar[str] = "t_unread_choose"
    version: ClassVar[int] = 1
    second: bool = False

    def unread(self) -> Collection[str]:
        return () if self.second else ("b",)

    def run(self, ctx: fs.RunContext, /, *, a: int, b: int | None = None) -> int:
        return a if b is None else b


def graph(second: bool, other: fs.Operator | None = None) -> fs.Graph:
    g = fs.Graph("choice")
    a = g.add("a", Number(value=1))
    b = g.add("b", Fails(), x=g.add("base", Number(value=2))) if other is None else g.add("b", other)
    g.add("end", Choose(second=second), a=a, b=b)
    g.outputs = ["end"]
    return g


def test_what_feeds_only_an_unread_port_is_not_run(tmp_path: Path) -> None:
    run = graph(second=False).run(cache_dir=tmp_path)
    assert run["end"] == 1
    assert set(run.record.nodes) == {"a", "end"}
    # Whatever hangs there, the result is the same work.
    again = graph(second=False, other=Number(value=7)).run(cache_dir=tmp_path)
    assert again.record.nodes["end"].status == "hit"
    assert graph(second=True, other=Number(value=7)).run(cache_dir=tmp_path)["end"] == 7


def test_it_can_still_be_asked_for(tmp_path: Path) -> None:
    run = graph(second=False, other=Number(value=7)).run(cache_dir=tmp_path, outputs=["end", "b"])
    assert (run["end"], run["b"]) == (1, 7)


def test_the_edge_is_checked_all_the_same() -> None:
    g = fs.Graph("choice")
    a = g.add("a", Number(value=1))
    with pytest.raises(GraphError, match="takes one edge"):
        g.add("end", Choose(), a=a, b=[a, a])
