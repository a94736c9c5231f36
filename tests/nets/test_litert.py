"""LiteRT on a tiny model of one layer, written here in its own format."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from flowsynth.core.errors import InputError
from flowsynth.nets.people.litert import LiteModel, lite_models

needs_litert = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="NOT TESTED: pip install '.[litert]'"
)


def negating_model(height: int = 2, width: int = 3) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, height, width, 3], 0, 0
        return made

    code, step, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.NEG
    code.version = 1
    step.opcodeIndex, step.inputs, step.outputs = 0, [0], [1]
    graph.tensors, graph.inputs, graph.outputs = [tensor("x"), tensor("y")], [0], [1]
    graph.operators = [step]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = (
        3,
        [code],
        [graph],
        [schema.BufferT()],
    )
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@needs_litert
def test_a_model_takes_pictures_and_gives_tensors() -> None:
    model = LiteModel(negating_model())
    assert model.size == (2, 3)
    x = torch.rand(1, 3, 2, 3)
    (out,) = model(x)
    assert torch.equal(out, -x.permute(0, 2, 3, 1))


@needs_litert
def test_models_load_from_tensors_of_bytes_and_stand_threads() -> None:
    data = torch.frombuffer(bytearray(negating_model()), dtype=torch.uint8)
    model = lite_models({"first": data, "second": data})["second"]
    pictures = [torch.full((1, 3, 2, 3), float(n)) for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda x: float(model(x)[0].mean()), pictures))
    assert made == [-float(n) for n in range(64)]


@needs_litert
def test_other_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="not a TensorFlow Lite model"):
        LiteModel(b"PK\3\4 something else")
    for state in ({}, {"a": torch.ones(3)}):
        with pytest.raises(ValueError, match="expected tensors of bytes"):
            lite_models(state)


def test_without_litert_one_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'flowsynth-engine\[litert\]'"):
        LiteModel(b"")
