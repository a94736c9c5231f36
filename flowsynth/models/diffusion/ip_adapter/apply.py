"""IP-Adapters on a network: every tensor of their files is used, or the file is refused.

The layers and the names inside are those of diffusers' own loader. It passes over what it does not know, so
its reading is watched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.ip_adapter.declared import IpAdapter, half_of, ip_adapter_file, require_halves
from flowsynth.models.diffusion.lora.file import some_of
from flowsynth.models.diffusion.sharing import sharing_copy
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import read_weights, tensor_shapes

if TYPE_CHECKING:
    import torch


class Watched(dict[str, Any]):
    """Tensors by name that know which of them were taken.

    Attributes:
        taken: names of those.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        """A tensor, which is taken now."""
        found = super().__getitem__(name)
        self.taken.add(name)
        return found


def with_ip_adapters(net: Any, adapters: Sequence[IpAdapter], *, offline: bool) -> Any:
    """A variant of a denoiser with adapters, which shares the base's tensors.

    Args:
        net: the loaded network.
        adapters: in the order of the pictures.
        offline: never touch the network.

    Raises:
        InputError: a file that is no adapter of this network, or holds more.
    """
    variant = sharing_copy(net)
    files = [ip_adapter_file(adapter, offline=offline) for adapter in adapters]
    _put(variant, files, [_halves(file, _read(file)) for file in files])
    return variant.eval()


def put_empty(net: Any, adapters: Sequence[IpAdapter], *, offline: bool) -> None:
    """Give a network without weights the layers of adapters, without theirs."""
    import torch

    files = [ip_adapter_file(adapter, offline=offline) for adapter in adapters]
    shapes = [
        tensor_shapes(file)
        if file.suffix == ".safetensors"
        else {name: tuple(tensor.shape) for name, tensor in _read(file).items()}
        for file in files
    ]
    empty = [{name: torch.empty(shape, device="meta") for name, shape in each.items()} for each in shapes]
    _put(net, files, [_halves(file, each) for file, each in zip(files, empty, strict=True)])


def _read(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file; the published pickled ones hold them in two dictionaries."""
    found: dict[str, torch.Tensor] = {}
    for name, value in read_weights(file).items():
        inner = value.items() if isinstance(value, Mapping) else ()
        found |= {f"{name}.{key}": tensor for key, tensor in inner} if inner else {name: value}
    return found


def _halves(file: Path, tensors: Mapping[str, Any]) -> dict[str, Watched]:
    require_halves(file, tensors)
    halves: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors.items():
        half, inner = half_of(name) or ("", "")
        halves[half][inner] = tensor
    return {half: Watched(inside) for half, inside in halves.items()}


def _put(net: Any, files: Sequence[Path], states: Sequence[Mapping[str, Watched]]) -> None:
    import torch

    named = ", ".join(map(str, files))
    try:
        with quiet(), torch.random.fork_rng(devices=[]):  # new layers draw weights before they get theirs
            net._load_ip_adapter_weights(list(states), low_cpu_mem_usage=False)
    except KeyError as error:
        raise InputError(
            f"{named}: not an IP-Adapter of this {type(net).__name__}; it lacks {error}"
        ) from None
    except (RuntimeError, AttributeError, ValueError, IndexError) as error:
        first = " ".join(str(error).split())[:300]
        raise InputError(f"{named}: not an IP-Adapter of this {type(net).__name__} ({first})") from None
    for file, state in zip(files, states, strict=True):
        # Those of `image_proj` all have a place: diffusers loads them strictly.
        idle = sorted(set(state["ip_adapter"]) - state["ip_adapter"].taken)
        if idle:
            raise InputError(
                f"{file}: more than an IP-Adapter of this {type(net).__name__}; no use for {some_of(idle)}"
            )
