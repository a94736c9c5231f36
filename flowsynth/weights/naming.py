"""The names that our networks give their tensors, for models whose files have none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy.typing as npt

from flowsynth.weights.errors import WeightsError
from flowsynth.weights.ncnn import Layer, WeightedLayer

_UNITS, _DENSE_BLOCKS = 5, 3
#: Convolutions of an RRDBNet outside its blocks: the first, and these at the end.
_TAIL = ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def named(layers: list[WeightedLayer], network: str) -> dict[str, npt.NDArray[Any]]:
    """Returns the tensors by the names of a network.

    Args:
        layers: In the order of the model, which is that of the computation.
        network: ``srvgg`` or ``rrdbnet``.

    Raises:
        WeightsError: The layers are not those of the network.
    """
    if network not in _NAMERS:
        raise WeightsError(f"no names for the layers of a {network!r} in an ncnn model")
    names = _NAMERS[network]([layer for layer, _ in layers])
    pairs = zip(names, layers, strict=True)
    return {f"{name}.{kind}": array for name, found in pairs for kind, array in found.tensors.items()}


def _srvgg(layers: list[Layer]) -> list[str]:
    kinds = [layer.kind for layer in layers]
    if len(kinds) % 2 == 0 or any(k != ("Convolution", "PReLU")[i % 2] for i, k in enumerate(kinds)):
        raise WeightsError("not a compact network: expected convolutions with a PReLU between each two")
    return [f"body.{index}" for index in range(len(layers))]


def _rrdbnet(layers: list[Layer]) -> list[str]:
    inner = len(layers) - 1 - len(_TAIL)
    blocks, rest = divmod(inner, _UNITS * _DENSE_BLOCKS)
    if blocks < 1 or rest or any(layer.kind != "Convolution" for layer in layers):
        raise WeightsError(f"not an x4 RRDBNet: {len(layers)} layers with weights; expected 15 a block and 6")
    return list(chain(["conv_first"], _units(blocks), _TAIL))


def _units(blocks: int) -> Iterator[str]:
    for block in range(blocks):
        for dense in range(1, _DENSE_BLOCKS + 1):
            for unit in range(1, _UNITS + 1):
                yield f"body.{block}.rdb{dense}.conv{unit}"


def named_keras(arrays: Mapping[str, npt.NDArray[Any]], network: str) -> dict[str, npt.NDArray[Any]]:
    """Returns what Keras saved by the names of a network, convolutions turned to (outputs, inputs, H, W).

    Args:
        arrays: By their path in the file, such as ``block1/layers/conv2d_1/vars/0``.
        network: ``hed``; arrays of others keep path and layout.
    """
    if network not in _KERAS_NAMES:
        return dict(arrays)
    rename = _KERAS_NAMES[network]
    return {
        f"{rename(path.rsplit('/vars/', 1)[0])}.{'bias' if path.endswith('/1') else 'weight'}": (
            array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        )
        for path, array in arrays.items()
    }


def _hed(layer: str) -> str:
    if side := re.fullmatch(r"dsn(\d)", layer):
        return f"block{side[1]}.projection"
    if conv := re.fullmatch(r"block(\d)/layers/conv2d(?:_(\d))?", layer):
        return f"block{conv[1]}.convs.{conv[2] or 0}"
    return layer


_KERAS_NAMES: dict[str, Callable[[str], str]] = {"hed": _hed}
_NAMERS: dict[str, Callable[[list[Layer]], list[str]]] = {"srvgg": _srvgg, "rrdbnet": _rrdbnet}
