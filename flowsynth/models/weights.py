"""Weight files: which of a folder's files are loaded, and reading them without running anything inside."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError

if TYPE_CHECKING:
    import torch

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


def check_safetensors(path: Path) -> None:
    """Raise unless a safetensors file is whole: its header parses and its data is all there.

    Raises:
        InputError: says what is wrong with which file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = file.read(8)
        count = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
        if not 2 <= count <= min(_HEADER_LIMIT, max(size - 8, 0)):
            raise InputError(f"{path}: not a whole safetensors file ({size} bytes, its header does not fit)")
        try:
            header = json.loads(file.read(count))
            ends = [int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise InputError(f"{path}: not a safetensors file (its header is not JSON)") from None
    expected = 8 + count + max(ends, default=0)
    if size != expected:
        word = "truncated" if size < expected else "too long"
        raise InputError(f"{path}: {word} safetensors file; expected {expected} bytes, given {size}")


def tensor_bytes(path: Path, itemsize: int) -> int:
    """Bytes that the tensors of a weight file take once they are loaded, read off its header.

    Args:
        path: Of the file; where it is no safetensors file, what it holds counts as it is.
        itemsize: Of the numbers that floats are turned into.
    """
    if path.suffix != ".safetensors":
        return _stored_bytes(path)
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    total = 0
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            is_float = "F" in entry["dtype"]
            total += math.prod(entry["shape"]) * itemsize if is_float else stop - start
    return total


def _stored_bytes(path: Path) -> int:
    """Bytes of the tensors in torch's zip files; of the whole file in its older ones."""
    import zipfile

    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as opened:
        return sum(info.file_size for info in opened.infolist() if "/data/" in info.filename)


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file; none of any other file.

    Raises:
        InputError: the file is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    check_safetensors(path)
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    found = header.get("__metadata__") or {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a weight file by name.

    Safetensors, or a pickled file that ``torch.load(weights_only=True)`` takes: tensors and plain
    containers, nothing that could run.

    Raises:
        InputError: the file is damaged, or holds anything besides tensors and plain values.
    """
    if path.suffix == ".safetensors":
        check_safetensors(path)
        from safetensors.torch import load_file

        return load_file(path)
    return _read_pickled(path)


def _read_pickled(path: Path) -> dict[str, Any]:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols that it then refuses
            data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _refused(str(error))
        raise InputError(
            f"{path}: refused: a pickled file that holds more than weights ({reason}); loading it could run"
            " code. Convert it to .safetensors where it comes from"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
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
