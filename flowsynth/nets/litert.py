"""Models in TensorFlow Lite's format, run by LiteRT. They run on the CPU, one picture at a time."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flowsynth.core.errors import InputError

__all__ = ["LiteModel", "lite_models"]

#: Bytes of the model as the values of a tensor: the first ones are an offset, then comes this mark.
_MARK = b"TFL3"


class LiteModel(nn.Module):
    """One model, callable from any thread.

    Args:
        data: content of a .tflite file.

    Raises:
        InputError: LiteRT is not installed; says how to get it.
        ValueError: not such a file.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        if importlib.util.find_spec("ai_edge_litert") is None:
            raise InputError("this detector runs by LiteRT: pip install 'flowsynth-engine[litert]'")
        if data[4:8] != _MARK:
            raise ValueError(
                f"not a TensorFlow Lite model: expected {_MARK!r} at byte 4, found {data[4:8]!r}"
            )
        from ai_edge_litert.interpreter import Interpreter

        # One thread: the models take milliseconds, and the scheduler has threads of its own.
        self._interpreter: Any = Interpreter(model_content=data, num_threads=1)
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        self._source = int(source["index"])
        self._outputs = [int(detail["index"]) for detail in self._interpreter.get_output_details()]
        self._lock = threading.Lock()
        #: Height and width of the picture that the model takes.
        self.size = (int(source["shape"][1]), int(source["shape"][2]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """From a picture (1, 3, *size) to the model's outputs, in its order, float32 on the CPU."""
        picture = x.detach().float().cpu().permute(0, 2, 3, 1).contiguous().numpy()
        with self._lock:
            self._interpreter.set_tensor(self._source, picture)
            self._interpreter.invoke()
            return [torch.from_numpy(self._interpreter.get_tensor(index)) for index in self._outputs]


def lite_models(state: Mapping[str, Tensor]) -> nn.ModuleDict:
    """Load models kept as tensors of bytes, by name.

    Raises:
        InputError: LiteRT is not installed; says how to get it.
        ValueError: a tensor is no model.
    """
    if not state or any(tensor.dtype != torch.uint8 for tensor in state.values()):
        raise ValueError("not TensorFlow Lite models: expected tensors of bytes")
    return nn.ModuleDict({name: LiteModel(tensor.numpy().tobytes()) for name, tensor in state.items()})
