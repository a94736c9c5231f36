"""Readers of weight files on mutated ones: tensors, or their own error, in bounded memory."""

from __future__ import annotations

import contextlib
import io
import pickle
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from flowsynth.weights.errors import WeightsError
from flowsynth.weights.formats import read_files
from flowsynth.weights.tensors import load_tensors
from tests.nets.tiny import as_ncnn, tiny_srvgg

TENSORS = {f"layer{i}.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4) + i for i in range(3)}
EXAMPLES = 120
#: Bytes that a reader may make.
MOST = 100_000
SIZE = sum(array.nbytes for array in TENSORS.values())


def safetensors_files() -> dict[str, bytes]:
    return {"w.safetensors": save(TENSORS)}


def torch_files(zipped: bool = True) -> dict[str, bytes]:
    file = io.BytesIO()
    state = {name: torch.from_numpy(array) for name, array in TENSORS.items()}
    torch.save({"params": state}, file, _use_new_zipfile_serialization=zipped)
    return {"w.pth": file.getvalue()}


def old_torch_files() -> dict[str, bytes]:
    return torch_files(zipped=False)


def ncnn_files() -> dict[str, bytes]:
    text, data = as_ncnn(tiny_srvgg(), half=True)
    return {"w.param": text.encode(), "w.bin": data}


def h5_files(**options: Any) -> dict[str, bytes]:
    h5py = pytest.importorskip("h5py", reason="NOT TESTED: pip install '.[h5]'")
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        for name, array in TENSORS.items():
            opened.create_dataset(f"block/{name}/vars/0", data=array, **options)
    return {"w.h5": file.getvalue()}


def packed_h5_files() -> dict[str, bytes]:
    return h5_files(compression="gzip", chunks=(1, 3, 4))


def numpy_files() -> dict[str, bytes]:
    nested = {"a": dict(list(TENSORS.items())[:2]), "b": TENSORS["layer2.weight"]}
    return {"w.ckpt": pickle.dumps(nested, protocol=3)}


def tflite_files() -> dict[str, bytes]:
    return {"folder/m.tflite": b"\x1c\x00\x00\x00TFL3" + bytes(range(200))}


FORMATS: dict[str, tuple[str, str, Callable[[], dict[str, bytes]]]] = {
    "safetensors": ("safetensors", "any", safetensors_files),
    "torch": ("torch", "any", torch_files),
    "old torch": ("torch", "any", old_torch_files),
    "ncnn": ("ncnn", "srvgg", ncnn_files),
    "h5": ("h5", "any", h5_files),
    "packed h5": ("h5", "hed", packed_h5_files),
    "numpy": ("numpy-pickle", "any", numpy_files),
    "tflite": ("tflite", "any", tflite_files),
}
#: What happens to a file, at places in thousandths of its length.
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "flip", "cut", "drop", "repeat", "word"]),
        st.integers(0, 1000),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)
#: Four bytes that numbers in a header become.
WORDS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80", b"1e99", b"-999")


def mutated(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    out = bytearray(data)
    for kind, place, value in edits:
        at = place * len(out) // 1001
        if kind == "set" and out:
            out[at] = value
        elif kind == "flip" and out:
            out[at] ^= 1 << value % 8
        elif kind == "cut":
            del out[at:]
        elif kind == "drop":
            del out[at : at + 1 + value % 16]
        elif kind == "repeat":
            out[at:at] = out[at : at + 1 + value]
        else:
            out[at : at + 4] = WORDS[value % len(WORDS)]
    return bytes(out)


def outcome(files: Mapping[str, bytes], format_: str, network: str) -> dict[str, Any] | str:
    """The tensors, or why the file was refused."""
    try:
        return read_files(files, format_, network, MOST // 4)
    except WeightsError as error:
        return str(error)


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_whole_file_is_read(name: str) -> None:
    format_, network, make = FORMATS[name]
    found = outcome(make(), format_, network)
    assert isinstance(found, dict), found
    if format_ not in ("ncnn", "tflite"):
        assert sum(array.nbytes for array in found.values()) == SIZE


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", list(FORMATS))
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(edits=EDITS, which=st.integers(0, 1))
def test_a_mutated_file_gives_tensors_or_our_own_error(
    name: str, edits: list[tuple[str, int, int]], which: int
) -> None:
    format_, network, make = FORMATS[name]
    files = make()
    names = list(files)
    chosen = names[which % len(names)]
    files[chosen] = mutated(files[chosen], edits)
    found = outcome(files, format_, network)
    assert isinstance(found, str) or sum(array.nbytes for array in found.values()) <= MOST


@settings(max_examples=60, deadline=None, derandomize=True)
@given(edits=EDITS)
def test_a_kept_file_that_is_damaged_is_no_surprise(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, int, int]]
) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "kept.safetensors"
    path.write_bytes(mutated(save(TENSORS), edits))
    with contextlib.suppress(WeightsError):
        load_tensors(path)


def bombs() -> dict[str, tuple[dict[str, bytes], str]]:
    """Small files that describe gigabytes."""
    h5py = pytest.importorskip("h5py", reason="NOT TESTED: pip install '.[h5]'")
    large = io.BytesIO()
    with h5py.File(large, "w") as opened:
        opened.create_dataset("zeros", shape=(1 << 33,), dtype="f4", chunks=(1 << 20,), fillvalue=0)
    file = io.BytesIO()
    torch.save({"x": torch.zeros(1).expand(1 << 33)}, file)
    array = np.zeros(1 << 12, np.uint8)
    often = {str(i): array for i in range(1 << 16)}
    return {
        "h5": ({"w.h5": large.getvalue()}, "h5"),
        "torch": ({"w.pth": file.getvalue()}, "torch"),
        "numpy": ({"w.ckpt": pickle.dumps(often, protocol=3)}, "numpy-pickle"),
    }


@pytest.mark.parametrize("kind", ["h5", "torch", "numpy"])
def test_a_file_that_unfolds_to_gigabytes_is_refused_before_it_does(kind: str) -> None:
    files, format_ = bombs()[kind]
    tracemalloc.start()
    with pytest.raises(WeightsError, match="describes"):
        read_files(files, format_, "any", SIZE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000
