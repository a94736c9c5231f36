"""Published files to tensors by name. Nothing inside a file is ever run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.core.errors import InputError
from flowsynth.weights.naming import named, named_keras
from flowsynth.weights.ncnn import parse_param, read_weights
from flowsynth.weights.numpy_pickle import read_numpy_pickle

Arrays = dict[str, npt.NDArray[Any]]
#: Parts of a published checkpoint that only its training needs, by network.
_TRAINING_ONLY = {"ifnet": ("block_tea.",)}


def read_files(files: Mapping[str, bytes], format_: str, network: str) -> Arrays:
    """Returns the tensors of published files, under the network's names.

    Args:
        files: Content by file name.
        format_: ``safetensors``, ``torch``, ``ncnn``, ``h5``, ``numpy-pickle`` or ``tflite``.
        network: Which the tensors are for.

    Raises:
        ValueError: Not what the format says.
        InputError: A library that is needed is not installed.
    """
    tensors = _FORMATS[format_](files, network)
    plain = {name.removeprefix("module."): array for name, array in tensors.items()}
    dropped = _TRAINING_ONLY.get(network, ())
    return (
        {name: array for name, array in plain.items() if not name.startswith(dropped)} if dropped else plain
    )


def _read_safetensors(files: Mapping[str, bytes], network: str) -> Arrays:
    from safetensors.numpy import load

    del network
    return {name: array for data in files.values() for name, array in load(data).items()}


def _read_torch(files: Mapping[str, bytes], network: str) -> Arrays:
    """Tensors and plain containers only: `weights_only` refuses everything else."""
    import io
    import pickle

    import torch

    del network
    (data,) = files.values()
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"not a checkpoint of nothing but tensors ({reason})") from error
    for nest in ("params_ema", "params", "state_dict"):
        loaded = loaded.get(nest, loaded)
    return {str(name): value.numpy() for name, value in loaded.items() if isinstance(value, torch.Tensor)}


def _read_ncnn(files: Mapping[str, bytes], network: str) -> Arrays:
    by_suffix = {Path(name).suffix: data for name, data in files.items()}
    layers = parse_param(by_suffix[".param"].decode("utf-8"))
    return named(read_weights(layers, by_suffix[".bin"]), network)


def _read_h5(files: Mapping[str, bytes], network: str) -> Arrays:
    """Every data set under its path, such as ``conv1_1/kernel``, or by the network's names."""
    import importlib.util
    import io

    if importlib.util.find_spec("h5py") is None:
        raise InputError("reading of .h5 weights needs h5py: pip install 'flowsynth-engine[h5]'")
    import h5py

    (data,) = files.values()
    found: Arrays = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(io.BytesIO(data), "r") as opened:
        opened.visititems(collect)
    return named_keras(found, network)


def _read_numpy(files: Mapping[str, bytes], network: str) -> Arrays:
    """Dictionaries of arrays, read without unpickling; every array under its path."""
    del network
    (data,) = files.values()
    return read_numpy_pickle(data)


def _read_tflite(files: Mapping[str, bytes], network: str) -> Arrays:
    """Whole models, each as a tensor of bytes under its file's name: LiteRT runs them as they are."""
    del network
    for name, data in files.items():
        if data[4:8] != b"TFL3":
            raise ValueError(f"{name} is not a TensorFlow Lite model")
    return {PurePosixPath(name).stem: np.frombuffer(data, np.uint8) for name, data in files.items()}


_FORMATS: dict[str, Callable[[Mapping[str, bytes], str], Arrays]] = {
    "safetensors": _read_safetensors,
    "torch": _read_torch,
    "ncnn": _read_ncnn,
    "h5": _read_h5,
    "numpy-pickle": _read_numpy,
    "tflite": _read_tflite,
}
