"""Nodes whose model is loaded go first: two models under a budget for one are not swapped at every node."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import flowsynth as fs
from flowsynth.api.session import Session
from flowsynth.core.events import Observer
from flowsynth.models import ModelManager, parse_model
from flowsynth.models.manager import unique_bytes
from flowsynth.operators.diffusion.text_encode import TextEncode
from tests.tiny import as_sd, tiny_sd


def another_model(folder: Path) -> Path:
    """A copy of the tiny model with other weights in its text encoder."""
    shutil.copytree(tiny_sd() / "base", folder)
    weights = folder / "text_encoder" / "model.safetensors"
    save_file({name: tensor * 1.5 for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    return folder


def interleaved(second: Path, count: int = 3) -> fs.Graph:
    """Branches that depend on nothing: model a, model b, model a, ..."""
    graph = fs.Graph("interleaved")
    sources = {"a": tiny_sd() / "base", "b": second}
    models = {name: graph.model(name, {"family": "sd", "source": str(at)}) for name, at in sources.items()}
    for i in range(count):
        for name, model in models.items():
            graph.add(f"{name}{i}", TextEncode(prompt=f"cat {i}"), model=model)
    return graph


def budget_for_one() -> int:
    spec = parse_model("a", {"family": "sd", "source": str(tiny_sd() / "base")})
    model = as_sd(ModelManager().load(spec))
    return unique_bytes([model.text_encoder.net])


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the parts that managers load, in order."""
    found: list[str] = []
    part = ModelManager.part

    def counted(
        self: ModelManager, key: str, load: Callable[[], Any], nbytes: Callable[[], int] | None = None
    ) -> Any:
        def counting() -> Any:
            found.append(key)
            return load()

        return part(self, key, counting, nbytes)

    monkeypatch.setattr(ModelManager, "part", counted)
    return found


class Order(Observer):
    """Notes the order in which nodes start."""

    def __init__(self) -> None:
        self.nodes: list[str] = []

    def node_started(self, node: str, device: str) -> None:
        """Note it."""
        del device
        self.nodes.append(node)


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_two_models_under_a_budget_for_one_are_loaded_once_each(
    tmp_path: Path, loads: list[str], executor: str
) -> None:
    graph, budget, order = interleaved(another_model(tmp_path / "b")), budget_for_one(), Order()
    loads.clear()
    with Session(tmp_path / "cache", model_bytes=budget) as session:
        run = graph.run(session=session, executor=executor, observer=order)
    assert run.ok
    assert order.nodes == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert len(loads) == len(set(loads)) == 3, "a text encoder of each, and the tokenizer that both have"


def test_nodes_keep_their_order_where_no_model_is_loaded_yet(tmp_path: Path) -> None:
    graph, order = interleaved(another_model(tmp_path / "b"), 1), Order()
    with Session(tmp_path / "cache") as session:
        graph.run(session=session, observer=order)
    assert order.nodes == ["a0", "b0"]
