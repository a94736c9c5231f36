"""Reading of ncnn models: the text of a .param, and the half or single floats of its .bin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flowsynth.weights.errors import WeightsError

_MAGIC = "7767517"
_ARRAY = -23300  # keys below it hold arrays: -23300 - k for parameter k
#: What precedes a convolution's weights in the .bin.
_RAW, _HALF = 0x00000000, 0x01306B47
#: Layers that hold no weights.
_PLAIN = frozenset({"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "ReLU"})

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """One line of a .param.

    Attributes:
        kind: Type of the layer.
        name: Its name.
        inputs: Names of what it reads.
        outputs: Names of what it makes.
        params: Numbers (arrays as tuples) by the layer's own numbering.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[int, float | tuple[float, ...]]

    def integer(self, key: int, default: int = 0) -> int:
        """A parameter that is one number."""
        value = self.params.get(key, default)
        if isinstance(value, tuple):
            return default
        if not float(value).is_integer():
            raise WeightsError(f"layer {self.name}: parameter {key} is {value}; expected a whole number")
        return int(value)


class WeightedLayer(NamedTuple):
    """A layer with its tensors: ``weight`` and, for convolutions that have one, ``bias``."""

    layer: Layer
    tensors: dict[str, Array]


def parse_param(text: str) -> list[Layer]:
    """Returns the layers of a .param in order.

    Raises:
        WeightsError: Not such a file, or damaged.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].strip() != _MAGIC:
        raise WeightsError(f"not an ncnn .param: expected {_MAGIC} in its first line")
    try:
        count = int(lines[1].split()[0])
        layers = [_parse_layer(line.split()) for line in lines[2:]]
    except (IndexError, ValueError) as error:
        raise WeightsError(f"a damaged ncnn .param ({error})") from error
    if len(layers) != count:
        raise WeightsError(f"a damaged ncnn .param: it promises {count} layers and has {len(layers)}")
    return layers


def read_weights(layers: list[Layer], data: bytes) -> list[WeightedLayer]:
    """Returns the layers that have weights, with these, out of the .bin.

    Args:
        layers: Of the .param.
        data: All of the .bin.

    Raises:
        WeightsError: A layer of another kind, quantised weights, or a .bin that doesn't belong to it.
    """
    reader, found = _Reader(data), []
    for layer in layers:
        if layer.kind in _READERS:
            found.append(WeightedLayer(layer, _READERS[layer.kind](layer, reader)))
        elif layer.kind not in _PLAIN:
            raise WeightsError(f"layer {layer.name} is a {layer.kind}; expected {', '.join(_READERS)}")
    if reader.place != len(data):
        raise WeightsError(f"the .bin has {len(data):,} bytes, its .param describes {reader.place:,}")
    return found


class _Reader:
    """A place in the .bin."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, dtype: str, count: int) -> Array:
        """Read numbers; the next read begins at a multiple of four bytes."""
        size = np.dtype(dtype).itemsize * count
        if count < 0:
            raise WeightsError(f"the .param describes {count} numbers")
        if self.place + size > len(self.data):
            raise WeightsError(f"the .bin ends after {len(self.data):,} bytes, its .param describes more")
        found = np.frombuffer(self.data, dtype, count, self.place)
        self.place += -(-size // 4) * 4
        return found


def _read_convolution(layer: Layer, reader: _Reader) -> dict[str, Array]:
    outputs, size = layer.integer(0), layer.integer(6)
    rows, columns = layer.integer(11, layer.integer(1)), layer.integer(1)
    if outputs < 1 or rows < 1 or columns < 1 or size < 1 or size % (outputs * rows * columns):
        raise WeightsError(
            f"layer {layer.name}: {size} weights do not fit {outputs} {rows}x{columns} kernels"
        )
    tag = int(reader.take("<u4", 1)[0])
    if tag not in (_RAW, _HALF):
        raise WeightsError(f"layer {layer.name}: quantised weights; expected half or single floats")
    weight = reader.take("<f2" if tag == _HALF else "<f4", size).reshape(outputs, -1, rows, columns)
    return {"weight": weight, "bias": reader.take("<f4", outputs)} if layer.integer(5) else {"weight": weight}


def _read_prelu(layer: Layer, reader: _Reader) -> dict[str, Array]:
    return {"weight": reader.take("<f4", layer.integer(0))}


_READERS: dict[str, Callable[[Layer, _Reader], dict[str, Array]]] = {
    "Convolution": _read_convolution,
    "PReLU": _read_prelu,
}


def _parse_layer(words: list[str]) -> Layer:
    """From ``TYPE NAME INPUTS OUTPUTS names... key=value...``."""
    reads, makes = int(words[2]), int(words[3])
    names, rest = words[4 : 4 + reads + makes], words[4 + reads + makes :]
    params = dict(_parse_parameter(word) for word in rest)
    return Layer(words[0], words[1], tuple(names[:reads]), tuple(names[reads:]), params)


def _parse_parameter(word: str) -> tuple[int, float | tuple[float, ...]]:
    key, _, value = word.partition("=")
    number = int(key)
    if number <= _ARRAY:
        count, *values = value.split(",")
        if len(values) != int(count):
            raise WeightsError(f"{word}: expected {count} values")
        return _ARRAY - number, tuple(float(v) for v in values)
    return number, float(value)
