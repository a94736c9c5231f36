import pytest

from flowsynth.config import compose_request
from flowsynth.core.errors import GraphError, RequestError
from tests.config.conftest import Writer


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["graph=smal"], ["graph", "unknown", "small", "did you mean 'small'"]),
        (["graph=null"], ["graph", "expected one of"]),
        (["~graph"], ["graph", "expected"]),
        (["model=pockett"], ["model", "pocket", "did you mean 'pocket'"]),
        (["promt=x"], ["promt", "did you mean 'prompt'"]),
        (["cache.dri=x"], ["cache.dri", "expected one of dir", "did you mean 'dir'"]),
        (["graph.nodes.bb.params.x=1"], ["graph.nodes.bb", "expected one of a, b"]),
        (["seed"], ["seed", "expected KEY=VALUE", "given 'seed'"]),
        (["seed=[1,"], ["seed", "cannot be read", "KEY=VALUE"]),
        (["seed=1,2"], ["seed", "several values", "--multirun"]),
        (["seed=range(3)"], ["seed", "several values", "--multirun"]),
        (
            ["executor=thread"],
            ["executor", "'serial', 'threads' or 'ray'", "given 'thread'", "did you mean 'threads'"],
        ),
        (["cache.max_bytes=lots"], ["cache.max_bytes", "given 'lots'"]),
        (["chunk=0"], ["chunk", "greater than or equal to 1", "given 0"]),
        (["hydra.sweep.dir=x"], ["hydra.sweep.dir", "output_dir=PATH"]),
        (
            ["graph.nodes.a.params.text='${promt}'"],
            ["graph.nodes.a.params.text", "${promt}", "did you mean 'prompt'"],
        ),
        (["graph.nodes.a.params.text='${graph.nodes.a.params.text}'"], ["circle"]),
        (["graph=../../etc/passwd"], ["graph", "unknown"]),
    ],
)
def test_overrides(small: Writer, overrides: list[str], words: list[str]) -> None:
    first = [] if overrides[0].startswith(("graph=", "~")) else ["graph=small"]
    with pytest.raises(RequestError) as caught:
        compose_request([*first, *overrides])
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "Traceback" not in message
    assert "hydra.cc" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: [1, 2", ["bad.yaml:", "not YAML"]),
        ("nodes: {a: {op: x}, a: {op: y}}", ["bad.yaml:1", "duplicate key 'a'"]),
        ("nodes: {a: {_target_: os.system}}", ["bad.yaml:1", "_target_", "an operator's name"]),
        ("- a\n- b", ["bad.yaml", "expected a mapping", "given a list"]),
        ("just text", ["bad.yaml", "expected a mapping"]),
        ("nodes: {a: {params: {x: '???'}}}", ["graph.nodes.a.params.x", "must be set"]),
        (
            "settings: {x: '???'}\nnodes: {a: {params: {x: '${x}'}}}",
            ["graph.nodes.a.params.x", "needs x", "x=..."],
        ),
        ("settings: [1]\nnodes: {}", ["settings", "expected a mapping"]),
        ("defaults: [stages/nope@nodes.x]\nnodes: {}", ["nope"]),
        ("defaults: 3\nnodes: {}", ["defaults", "list"]),
        (
            "defaults: [{override /model@_global_.model: pockett}]\nnodes: {}",
            ["model", "pockett", "did you mean 'pocket'"],
        ),
        ("nodes: {a: {params: {x: '${'}}}", ["bad", "${"]),
    ],
)
def test_files(folder: Writer, text: str, words: list[str]) -> None:
    folder("graphs/bad.yaml", text)
    with pytest.raises(RequestError) as caught:
        compose_request(["graph=bad"])
    assert all(word in str(caught.value) for word in words), caught.value


def test_all_faults_come_at_once(small: Writer) -> None:
    with pytest.raises(GraphError) as caught:
        compose_request(["graph=small", "seed=[1,", "strength='x", "seed=1,2"])
    assert len(caught.value.faults) == 3


def test_two_values_that_lead_nowhere_are_both_named(folder: Writer) -> None:
    folder("graphs/bad.yaml", "nodes: {a: {params: {x: '${no}', y: '${nor}'}}}")
    with pytest.raises(GraphError) as caught:
        compose_request(["graph=bad"])
    assert [fault.path for fault in caught.value.faults] == [
        "graph.nodes.a.params.x",
        "graph.nodes.a.params.y",
    ]
