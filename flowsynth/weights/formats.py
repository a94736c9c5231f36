"""Published files to tensors by name. Nothing inside a file is ever run."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.core.errors import InputError
from flowsynth.weights.errors import WeightsError
from flowsynth.weights.matlab import read_matlab
from flowsynth.weights.naming import named, named_keras
from flowsynth.weights.ncnn import parse_param, read_weights
from flowsynth.weights.numpy_pickle import read_numpy_pickle

Arrays = dict[str, npt.NDArray[Any]]
#: Parts of a published checkpoint that only its training needs, by network.
_TRAINING_ONLY = {"ifnet": ("block_tea.",)}
#: Bytes of tensors beside those of the network: what only training needs, and shorter types in the file.
_SPARE = 4


def read_files(files: Mapping[str, bytes], format_: str, network: str, size: int) -> Arrays:
    """Returns the tensors of published files, under the network's names.

    Args:
        files: Content by file name.
        format_: ``safetensors``, ``torch``, ``ncnn``, ``h5``, ``numpy-pickle``, ``matlab`` or ``tflite``.
        network: Which the tensors are for.
        size: Bytes that they have together; a file that describes many times more is refused before it is
            unfolded.

    Raises:
        WeightsError: Not what the format says, or damaged.
        InputError: A library that is needed is not installed.
    """
    try:
        tensors = _FORMATS[format_](files, network, _SPARE * size)
    except WeightsError:
        raise
    except ValueError as error:  # of a part that knows no files
        raise WeightsError(str(error)) from error
    plain = {name.removeprefix("module."): array for name, array in tensors.items()}
    _bound(sum(array.nbytes for array in plain.values()), _SPARE * size)
    dropped = _TRAINING_ONLY.get(network, ())
    return (
        {name: array for name, array in plain.items() if not name.startswith(dropped)} if dropped else plain
    )


def _bound(size: int, most: int) -> None:
    if size > most:
        raise WeightsError(f"it describes {size:,} bytes of tensors, expected at most {most:,}")


def _unreadable(what: str, error: Exception) -> WeightsError:
    """A library's error, whatever it is, as one of a file's."""
    reason = str(error).partition("\n")[0]
    return WeightsError(f"not {what} ({type(error).__name__}: {reason})")


def _read_safetensors(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    from safetensors.numpy import load

    del network, most
    try:
        return {name: array for data in files.values() for name, array in load(data).items()}
    except Exception as error:
        raise _unreadable("a readable safetensors file", error) from error


def _read_torch(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    """Tensors and plain containers only: `weights_only` refuses everything else."""
    import warnings

    import torch

    del network, most
    (data,) = files.values()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what it then refuses
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            for nest in ("params_ema", "params", "state_dict"):
                loaded = loaded.get(nest, loaded)
            found = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
            return {name: value.numpy() for name, value in found.items()}
    except Exception as error:
        raise _unreadable("a checkpoint of nothing but tensors", error) from error


def _read_ncnn(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    del most
    by_suffix = {Path(name).suffix: data for name, data in files.items()}
    layers = parse_param(by_suffix[".param"].decode("utf-8"))
    return named(read_weights(layers, by_suffix[".bin"]), network)


def _read_h5(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    """Every data set under its path, such as ``conv1_1/kernel``, or by the network's names."""
    import importlib.util

    if importlib.util.find_spec("h5py") is None:
        raise InputError("reading of .h5 weights needs h5py: pip install 'flowsynth-engine[h5]'")
    import h5py

    (data,) = files.values()
    found: Arrays = {}

    def collect(name: Any, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if not isinstance(name, str) or item.dtype.kind not in "fiu":  # bytes where it is no UTF-8
            raise WeightsError(f"{name!r} holds {item.dtype}; expected numbers under a name")
        _bound(item.nbytes + sum(array.nbytes for array in found.values()), most)
        found[name] = item[()]

    try:
        with h5py.File(io.BytesIO(data), "r") as opened:
            opened.visititems(collect)
    except WeightsError:
        raise
    except Exception as error:
        raise _unreadable("a readable HDF5 file", error) from error
    return named_keras(found, network)


def _read_numpy(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    """Dictionaries of arrays, read without unpickling; every array under its path."""
    del network
    (data,) = files.values()
    return read_numpy_pickle(data, most)


def _read_matlab(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    del network
    (data,) = files.values()
    return read_matlab(data, most)


def _read_tflite(files: Mapping[str, bytes], network: str, most: int) -> Arrays:
    """Whole models, each as a tensor of bytes under its file's name: LiteRT runs them as they are."""
    del network, most
    for name, data in files.items():
        if data[4:8] != b"TFL3":
            raise WeightsError(f"{name} is not a TensorFlow Lite model")
    return {PurePosixPath(name).stem: np.frombuffer(data, np.uint8) for name, data in files.items()}


_FORMATS: dict[str, Callable[[Mapping[str, bytes], str, int], Arrays]] = {
    "safetensors": _read_safetensors,
    "torch": _read_torch,
    "ncnn": _read_ncnn,
    "h5": _read_h5,
    "numpy-pickle": _read_numpy,
    "matlab": _read_matlab,
    "tflite": _read_tflite,
}
