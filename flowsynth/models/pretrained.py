"""Networks that transformers defines, out of a folder in its layout, kept by the device's manager."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowsynth.core.canonical import digest_json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash, watching
from flowsynth.models.manager import manager_of
from flowsynth.models.networks import torch_dtype
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import check_safetensors, tensor_bytes, weight_files

_CONFIG = "config.json"


def folder_files(folder: Path, besides: Mapping[str, str], what: str) -> dict[str, Path]:
    """Return the files of a model in transformers' layout, by parameter, for `Operator.files`.

    Args:
        folder: of the model.
        besides: files that it needs besides weights and config: parameter -> name.
        what: the folder that is expected, for messages.

    Raises:
        InputError: something is missing, or the weights are not safetensors.
    """
    named = {"config": _CONFIG, **besides}
    for name in named.values():
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected {what} in transformers' layout")
    weights = weight_files(folder)
    if weights[0].suffix != ".safetensors":
        raise InputError(f"{folder}: expected weights as .safetensors, found {weights[0].name}")
    found = {"weights": weights[0], **{key: folder / name for key, name in named.items()}}
    return {**found, **{f"weights{n}": path for n, path in enumerate(weights[1:], start=1)}}


def load_pretrained(
    ctx: RunContext, loader: str, what: str, files: Mapping[str, Path], precision: str
) -> Any:
    """Return the network of a folder, on the context's device, in evaluation mode.

    Args:
        ctx: says the device.
        loader: transformers' class that loads it, such as ``AutoModelForDepthEstimation``.
        what: a model that it loads does, for messages.
        files: of the folder, by `folder_files`.
        precision: a `Precision`.

    Raises:
        InputError: damaged files, or those of another kind of model.
        RunError: a file changed while it was read.
    """
    manager = manager_of(ctx)
    memo = None if manager.cache_dir is None else manager.cache_dir / "file_hashes"
    weights = [path for name, path in files.items() if name.startswith("weights")]
    for path in weights:
        check_safetensors(path)
    dtype = torch_dtype(precision, manager.device)
    with watching() as watch:
        content = [file_hash(path, memo) for path in (*weights, files["config"])]

    def load() -> Any:
        model = read_pretrained(loader, what, files["config"].parent, dtype)
        watch.check()
        return model.to(manager.device).eval().requires_grad_(False)

    def nbytes() -> int:
        return sum(tensor_bytes(path, dtype.itemsize) for path in weights)

    return manager.part(digest_json([loader, [*content], str(dtype)]), load, nbytes)


def read_pretrained(loader: str, what: str, folder: Path, dtype: Any) -> Any:
    """Return the network of a folder, on the CPU.

    Args:
        loader: transformers' class that loads it.
        what: a model that it loads does, for messages.
        folder: in transformers' layout.
        dtype: of its weights.

    Raises:
        InputError: damaged files, or those of another kind of model.
    """
    import transformers

    with quiet():
        try:
            model, info = getattr(transformers, loader).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"{folder}: not a model that {what} ({first})") from None
    if absent := [*info["missing_keys"], *info["mismatched_keys"]]:
        raise InputError(
            f"{folder}: its weights do not fit its config: {absent[0]} is missing or of another shape"
        )
    return model
