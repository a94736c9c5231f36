"""Models in TensorFlow Lite's format, run by LiteRT. They run on the CPU, one picture at a time."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from flowsynth.core.errors import InputError
from flowsynth.nets.architecture import Architecture, State

__all__ = ["ARCHITECTURE", "LiteModel", "LiteModels", "lite_models"]

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


class LiteModels(nn.Module):
    """Models by name; they stay on the CPU, wherever the rest of a node runs."""

    def __init__(self, models: Mapping[str, LiteModel]) -> None:
        super().__init__()
        self.models = nn.ModuleDict(models)

    def __getitem__(self, name: str) -> LiteModel:
        """The model of a name."""
        return cast("LiteModel", self.models[name])


def lite_models(state: State) -> LiteModels:
    """Load models kept as tensors of bytes, by name.

    Raises:
        InputError: LiteRT is not installed; says how to get it.
        ValueError: a tensor is no model.
    """
    if not _fits(state):
        raise ValueError("not TensorFlow Lite models: expected tensors of bytes")
    return LiteModels({name: LiteModel(tensor.numpy().tobytes()) for name, tensor in state.items()})


def _fits(state: State) -> bool:
    return bool(state) and all(tensor.dtype == torch.uint8 for tensor in state.values())


ARCHITECTURE = Architecture("litert", "whole models as tensors of bytes", _fits, lite_models)
