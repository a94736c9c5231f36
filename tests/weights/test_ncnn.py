from collections.abc import Callable

import pytest
import torch

from flowsynth.nets.registry import build_network
from flowsynth.nets.roles import UPSCALING
from flowsynth.weights.naming import named
from flowsynth.weights.ncnn import parse_param, read_weights
from tests.nets.tiny import as_ncnn, picture, tiny_srvgg


@pytest.mark.parametrize("half", [False, True])
def test_a_model_read_back_computes_the_same(half: bool) -> None:
    network = tiny_srvgg()
    text, data = as_ncnn(network, half)
    arrays = named(read_weights(parse_param(text), data), "srvgg")
    loaded = build_network(UPSCALING, {k: torch.from_numpy(v.copy()) for k, v in arrays.items()})
    if half:  # only convolutions' weights are; biases and slopes stay in single precision
        for layer in network.body.children():
            if isinstance(layer, torch.nn.PReLU):
                continue
            assert isinstance(layer, torch.nn.Conv2d)
            layer.weight.data = layer.weight.half().float()
    x = picture(9, 11)
    assert torch.equal(loaded(x), network(x))


def test_parameters_that_are_arrays_are_read() -> None:
    layers = parse_param(as_ncnn(tiny_srvgg(), False)[0])
    assert layers[-1].params == {0: 1.0, 1: (0.2, 1.0)}
    assert layers[-1].inputs == ("a", "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text, data: (text, data[:-4]), "ends after"),
        (lambda text, data: (text, data + b"1234"), "bytes, its .param describes"),
        (lambda text, data: (text.replace("7767517", "7767518"), data), "expected 7767517"),
        (lambda text, data: (text.replace("PReLU", "LSTM"), data), "is a LSTM; expected Convolution, PReLU"),
        (lambda text, data: (text.rpartition("\n")[0], data), "promises"),
        (lambda text, data: (text.replace("6=162", "6=163"), data), "163 weights do not fit"),
        (lambda text, data: (text, b"\x38\x4b\x0d\x00" + data[4:]), "quantised"),
        (lambda text, data: (text.replace(" 1 1 b0 b1", " one 1 b0 b1"), data), "damaged ncnn .param"),
    ],
)
def test_faults_are_named(change: Callable[[str, bytes], tuple[str, bytes]], message: str) -> None:
    text, data = change(*as_ncnn(tiny_srvgg(), False))
    with pytest.raises(ValueError, match=message):
        read_weights(parse_param(text), data)


def test_layers_of_another_network_are_refused() -> None:
    layers = read_weights(parse_param(as_ncnn(tiny_srvgg(), False)[0]), as_ncnn(tiny_srvgg(), False)[1])
    with pytest.raises(ValueError, match="not an x4 RRDBNet"):
        named(layers, "rrdbnet")
    with pytest.raises(ValueError, match="not a compact network"):
        named(layers[:-1], "srvgg")
