"""Weight files: which of a folder's files are loaded, and reading them without running anything inside."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError, listing
from flowsynth.core.filehash import watch_folder

if TYPE_CHECKING:
    import torch

_FLOATS = ("F64", "F32", "F16", "BF16")
#: Bytes of a number, by safetensors' name of its dtype.
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8, "BOOL": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip
_HEADER_LIMIT = 100_000_000
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
#: Names of weights without their ending, in diffusers' and transformers' folders.
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")


def weight_files(folder: Path, variant: str | None = None) -> list[Path]:
    """The weight files that are loaded from a component's folder: safetensors (also in shards), else pickled.

    Args:
        folder: such as ``unet``.
        variant: ``fp16`` prefers ``NAME.fp16.safetensors``.

    Raises:
        InputError: the folder holds no weights of that variant.
    """
    watch_folder(folder)
    tag = f".{variant}" if variant else ""
    for ending in (".safetensors", *_PICKLED):
        for stem in _STEMS:
            single = folder / f"{stem}{tag}{ending}"
            if single.is_file():
                return [single]
            shards = sorted(folder.glob(f"{stem}{tag}-*-of-*{ending}"))
            shards = shards or sorted(folder.glob(f"{stem}-*-of-*{tag}{ending}"))
            if shards:
                return shards
    found = ", ".join(sorted(p.name for p in folder.glob("*"))) or "nothing"
    wanted = f"{_STEMS[0]}{tag}.safetensors"
    raise InputError(f"{folder}: no weights; expected {wanted} (or its like), found {found}")


def check_safetensors(path: Path, *, floats: bool = False) -> None:
    """Raise unless a safetensors file is whole: every tensor has its own bytes, and every byte its tensor.

    Args:
        path: the file.
        floats: whether it may hold nothing but floats, beside tables of positions: a network's weights.

    Raises:
        InputError: says what is wrong with which file, and with which of its tensors.
    """
    header, begin = _header(path)
    at = 0
    for start, stop, name, dtype in sorted(_extents(path, header)):
        if start != at:
            raise InputError(f"{path}: not a safetensors file (the bytes of {name} overlap or leave a hole)")
        if floats and dtype not in _FLOATS and not name.endswith("position_ids"):
            raise InputError(f"{path}: {name} is {dtype}; quantised weights can't be loaded, expected floats")
        at = stop
    expected, size = begin + at, path.stat().st_size
    if size != expected:
        word = "truncated" if size < expected else "too long"
        raise InputError(f"{path}: {word} safetensors file; expected {expected} bytes, given {size}")


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its data begins."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = file.read(8)
        count = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
        if not 2 <= count <= min(_HEADER_LIMIT, max(size - 8, 0)):
            raise InputError(f"{path}: not a whole safetensors file ({size} bytes, its header does not fit)")
        try:
            header = json.loads(file.read(count), object_pairs_hook=lambda pairs: _unique(path, pairs))
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a safetensors file (its header is not JSON)")
    return header, 8 + count


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: not a safetensors file (it names {twice} twice)")
    return found


def _extents(path: Path, header: dict[str, Any]) -> Iterator[tuple[int, int, str, str]]:
    """First byte, one past the last, name and dtype of every tensor."""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (start, stop) = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
            sizes = [*shape, start, stop]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path}: not a safetensors file (its entry of {name} is none)") from None
        if not all(type(n) is int and n >= 0 for n in sizes):
            raise InputError(f"{path}: not a safetensors file (shape and place of {name} are no sizes)")
        if dtype not in _ITEM_BYTES:
            raise InputError(
                f"{path}: {name} is of the unknown dtype {dtype}; expected {listing(_ITEM_BYTES)}"
            )
        expected = math.prod(shape) * _ITEM_BYTES[dtype]
        if stop - start != expected:
            raise InputError(
                f"{path}: {name} has {stop - start} bytes; expected {expected} for {dtype} of {tuple(shape)}"
            )
        yield start, stop, name, dtype


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a safetensors file by name, read off its header.

    Raises:
        InputError: the file is damaged.
    """
    header = _header(path)[0]
    return {name: tuple(header[name]["shape"]) for _, _, name, _ in _extents(path, header)}


def tensor_bytes(path: Path, itemsize: int, prefixes: tuple[str, ...] = ()) -> int:
    """Bytes that the tensors of a weight file take once they are loaded, read off its header.

    Args:
        path: of the file; where it is no safetensors file, what it holds counts as it is.
        itemsize: of the numbers that floats are turned into.
        prefixes: of the names that count, where the file has such.

    Raises:
        InputError: the file is damaged.
    """
    if path.suffix != ".safetensors":
        return _stored_bytes(path)
    sizes: dict[str, int] = {}
    for start, stop, name, dtype in _extents(path, _header(path)[0]):
        is_float, size = dtype in _FLOATS, stop - start
        sizes[name.removeprefix("module.")] = size // _ITEM_BYTES[dtype] * itemsize if is_float else size
    chosen = [size for name, size in sizes.items() if name.startswith(prefixes)]
    return sum(chosen or sizes.values())


def int8_bytes(path: Path, itemsize: int, prefixes: tuple[str, ...] = ()) -> int:
    """The same of a network that holds its matrices as int8, with a factor a row.

    Args:
        path: as of `tensor_bytes`, as are `itemsize` and `prefixes`.
        itemsize: of all other numbers.
        prefixes: as there.
    """
    if path.suffix != ".safetensors":
        return _stored_bytes(path)
    shapes = {name.removeprefix("module."): shape for name, shape in tensor_shapes(path).items()}
    chosen = {name: shape for name, shape in shapes.items() if name.startswith(prefixes)}
    return sum(
        math.prod(shape) + shape[0] * itemsize
        if len(shape) == 2 and name.endswith(".weight")
        else math.prod(shape) * itemsize
        for name, shape in (chosen or shapes).items()
    )


def _stored_bytes(path: Path) -> int:
    """Bytes of the tensors in torch's zip files; of the whole file in its older ones."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as opened:
            return sum(info.file_size for info in opened.infolist() if "/data/" in info.filename)
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError, EOFError):
        return path.stat().st_size  # none, or a damaged one: that is told when it is read


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file; none of any other file.

    Raises:
        InputError: the file is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    header, _ = _header(path)
    found = header.get("__metadata__") or {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def read_weights(path: Path, prefixes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tensors of a weight file by name.

    Safetensors, or a pickled file that ``torch.load(weights_only=True)`` takes: tensors and plain
    containers, nothing that could run.

    Args:
        path: of the file.
        prefixes: of a safetensors file only the tensors whose names begin so are read, if there are such.

    Raises:
        InputError: the file is damaged, or holds anything besides tensors and plain values.
    """
    if path.suffix == ".safetensors":
        check_safetensors(path)
        from safetensors import safe_open

        with safe_open(path, framework="pt") as opened:
            names = list(opened.keys())
            chosen = [name for name in names if name.removeprefix("module.").startswith(prefixes)]
            return {name: opened.get_tensor(name) for name in chosen or names}
    return _read_pickled(path)


def _read_pickled(path: Path) -> dict[str, Any]:
    import argparse
    import pickle
    import warnings

    import torch

    # Trainers keep their options beside the weights: an object of nothing but attributes, which runs no code.
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what it then refuses
            data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _refused(str(error))
        raise InputError(
            f"{path}: refused: a pickled file that holds more than weights ({reason}); loading it could run"
            " code. Convert it to .safetensors where it comes from"
        ) from None
    except Exception as error:  # whatever the unpickler and the reader of zip files raise on damaged bytes
        first = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a readable weight file ({first})") from None
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected tensors by name, given a {type(data).__name__}")
    return data


def _refused(text: str) -> str:
    """The part of torch's long message that names what was refused."""
    for line in text.splitlines():
        if "GLOBAL" in line or "Unsupported" in line or "global" in line:
            return line.strip().rstrip(".")[:160]
    return text.partition("\n")[0][:160]


def tensors_only(data: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Drop entries that are no tensors (step counters of trainers)."""
    import torch

    return {name: value for name, value in data.items() if isinstance(value, torch.Tensor)}
