"""Networks of our own definition: their weights fetched, checked, known by their tensors, and kept loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flowsynth.core.canonical import digest_json
from flowsynth.core.context import RunContext
from flowsynth.core.devices import auto_precision
from flowsynth.core.errors import InputError, did_you_mean, listing
from flowsynth.core.filehash import file_hash, file_stamp, watching
from flowsynth.core.paths import user_path
from flowsynth.models.manager import ModelManager, manager_of
from flowsynth.models.weights import read_weights, tensor_bytes
from flowsynth.weights.catalogue import catalogue

if TYPE_CHECKING:
    import torch
    from torch import nn

    from flowsynth.nets.roles import Role

Network = TypeVar("Network", bound="nn.Module")


def load_network(
    ctx: RunContext, role: Role[Network], weights: str, precision: str = "float32", **options: bool
) -> Network:
    """Return a network on the context's device, kept by its manager; weights are fetched if need be.

    Args:
        ctx: says the device, the cache, and whether the network may be touched.
        role: what it shall do.
        weights: a name of the catalogue, or a file.
        precision: dtype of its numbers; ``auto`` as the role says.
        options: what the role's networks can be built with or without.

    Raises:
        InputError: no such file, a damaged one, or one of another network.
        RunError: the file changed while it was read.
        OfflineError: not in the cache and no network; says how to get them.
    """
    manager, named = manager_of(ctx), catalogue().get(weights)
    path = weights_file(weights) if named is None else _fetched(ctx, weights)
    with watching() as watch:
        content = _hash(manager, path) if named is None else named.tensors_sha256
    watch.seen.setdefault(path.absolute(), file_stamp(path))
    dtype = torch_dtype(precision, manager.device, half_on_cpu=role.half_on_cpu)

    def load() -> nn.Module:
        import torch

        network = _built(path, role, options)
        watch.check()
        network = network.to(device=manager.device, dtype=dtype)
        return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]

    key = digest_json(["network", role.name, content, str(dtype), {**options}])
    return cast("Network", manager.part(key, load, lambda: tensor_bytes(path, dtype.itemsize)))


def weights_file(weights: str) -> Path:
    """Return the checkpoint file that a param `weights` names.

    Raises:
        InputError: no such file; the names that there are belong to the message.
    """
    path = user_path(weights)
    if not path.is_file():
        raise InputError(
            f"params.weights: expected a checkpoint file or one of {listing(catalogue())};"
            f" given {weights!r}{did_you_mean(weights, catalogue())}"
        )
    return path


def torch_dtype(precision: str, device: str, *, half_on_cpu: bool = False) -> torch.dtype:
    """Return the dtype of a network's numbers; what ``auto`` is `auto_precision` says."""
    import torch

    if precision == "auto":
        precision = auto_precision(device, half_on_cpu=half_on_cpu)
    return cast("torch.dtype", getattr(torch, precision))


def _fetched(ctx: RunContext, name: str) -> Path:
    from flowsynth.cache.location import default_cache_dir
    from flowsynth.weights.store import fetch_weights

    return fetch_weights(
        name,
        ctx.cache_dir or default_cache_dir(),
        offline=ctx.offline,
        progress=lambda *_: ctx.check_cancelled(),
    )


def _hash(manager: ModelManager, path: Path) -> str:
    return file_hash(path, None if manager.cache_dir is None else manager.cache_dir / "file_hashes")


def _built(path: Path, role: Role[Any], options: dict[str, bool]) -> nn.Module:
    from flowsynth.nets.loading import unwrapped
    from flowsynth.nets.registry import build_network

    try:
        return cast("nn.Module", build_network(role, unwrapped(read_weights(path)), **options))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
