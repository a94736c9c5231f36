"""`run.json` written by parts is the text of the record."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

import flowsynth as fs
from flowsynth.api import Graph
from flowsynth.core.record import RunRecord, record_parts
from flowsynth.core.spec import node_spec, to_spec
from flowsynth.operators.diffusion.text_encode import TextEncode


class Fold(fs.Operator):
    """Params of many kinds."""

    op = "parts_fold"
    version = 1
    text: str = 'new\nline "quoted" ü \u2028'
    number: float = 1e-7
    endless: float = float("inf")
    deep: dict[str, list[int]] = Field(default_factory=lambda: {"nodes": [], "b": [1, 2]})

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        ctx.note('a note\n  "nodes": {}')
        return x + 1


def some(count: int) -> Graph:
    g = Graph('g "nodes": {}')
    last = g.add("n0", Fold())
    for i in range(1, count):
        last = g.add(f"n{i}", Fold(number=i / 3), x=last)
    return g


@pytest.mark.parametrize("count", [1, 5])
def test_it_is_the_records_text(tmp_path: Path, count: int) -> None:
    run = some(count).run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
    text = (tmp_path / "out" / "run.json").read_text(encoding="utf-8")
    assert "record" not in vars(run), "all of it was made"
    assert text == run.record.to_json()
    assert RunRecord.model_validate_json(text).to_json() == text
    assert run.summary.status == run.record.status == "done"


def test_no_nodes_at_all(tmp_path: Path) -> None:
    head = some(1).run(cache_dir=tmp_path).summary
    assert "".join(record_parts(head, [], [])) == head.to_json()


def test_a_graph_without_its_nodes_is_the_rest_of_it() -> None:
    g = some(3)
    model = g.model("nodes", {"family": "sd", "source": "shipped:pocket"})
    g.add("text", TextEncode(prompt="a"), model=model)
    assert to_spec(g) == {
        **to_spec(g, nodes=False),
        "nodes": {name: node_spec(node) for name, node in g.nodes.items()},
    }
