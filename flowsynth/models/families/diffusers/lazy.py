"""Networks without weights that become real when they are first called.

A pipeline is built of such skeletons, so that each step loads only what it calls: the text step the text
encoders, the decoder's step the decoder. Real networks belong to the store; a skeleton takes their tensors
over as parameters of its own on the same memory, so that nothing a call does to it reaches another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowsynth.models.diffusion.sharing import sharing_copy
from flowsynth.models.families.diffusers.placed import placed
from flowsynth.models.manager import LOADING

if TYPE_CHECKING:
    import torch
    from torch import nn

#: Methods by which pipelines use a network, besides calling it.
_ENTRANCES = (
    "forward",
    "encode",
    "decode",
    "get_image_features",
    "get_text_features",
    "generate",
    "quantize",
)

#: Attribute of a layer that is not real yet: what makes its network so.
_FILL = "_flowsynth_fill"
_reading: dict[type[Any], type[Any]] = {}


def skeleton(build: Callable[[], nn.Module], dtype: torch.dtype, device: str) -> nn.Module:
    """A network on no device, without weights.

    Args:
        build: makes the network from its configuration; its weights are thrown away.
        dtype: that the real one will have.
        device: what the network says that it lies on, before as after.
    """
    from accelerate import init_empty_weights
    from transformers.initialization import no_init_weights

    # Without the last, half of the time goes into drawing weights that have no memory.
    with LOADING, _no_randomness(), _default_dtype(dtype), init_empty_weights(), no_init_weights():
        network = build()
    network.eval()
    network.__class__ = placed(type(network), device, "device")
    return network


def filled_at_first_use(
    network: nn.Module, load: Callable[[], nn.Module], ready: Callable[[nn.Module], None] = lambda _: None
) -> None:
    """Have a skeleton take over the tensors of the real network at its first use.

    Args:
        network: belongs to one call.
        load: the real network, on the device; called once, at the first use.
        ready: is given the network once it is real.
    """
    if not any(True for _ in network.children()):  # read, never called
        _fill(network, load())
    else:
        _arm(network, load, ready)


def _arm(network: nn.Module, load: Callable[[], nn.Module], ready: Callable[[nn.Module], None]) -> None:
    """Have the first use, by whatever entrance or inner layer, fill the network."""
    hooks: list[Any] = []
    read: list[nn.Module] = []
    doors: dict[str, Callable[..., Any]] = {}
    filled = False

    def fill() -> None:
        nonlocal filled
        if filled:  # what was put around a door goes on calling it
            return
        filled = True
        for name, door in doors.items():
            if network.__dict__.get(name) is door:  # a seam may stand in its place
                del network.__dict__[name]
        while hooks:
            hooks.pop().remove()
        while read:
            read.pop().__dict__.pop(_FILL)
        _fill(network, load())
        ready(network)

    def entrance(name: str) -> Callable[..., Any]:
        method = getattr(network, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            fill()
            return method(*args, **kwargs)

        return call

    for name in _ENTRANCES:
        if callable(getattr(type(network), name, None)):
            doors[name] = network.__dict__[name] = entrance(name)
    for layer in network.modules():
        if layer is not network and any(p is not None for p in layer._parameters.values()):
            hooks.append(layer.register_forward_pre_hook(lambda *_: fill() if hooks else None))
        if {*layer._buffers} - layer._non_persistent_buffers_set:
            layer.__class__ = _filled_when_read(type(layer))
            layer.__dict__[_FILL] = fill
            read.append(layer)


def _filled_when_read(cls: type[Any]) -> type[Any]:
    """A class of layers whose buffers pipelines read off, such as the mean of a decoder's latents."""
    if cls not in _reading:

        def get(self: nn.Module, name: str) -> Any:
            fill = self.__dict__.get(_FILL)
            if fill is not None and name in self.__dict__.get("_buffers", ()):
                fill()
            return cls.__getattr__(self, name)

        members = {"__getattr__": get, "__module__": cls.__module__, "__doc__": cls.__doc__}
        _reading[cls] = type(cls.__name__, (cls,), members)
    return _reading[cls]


def _fill(network: nn.Module, real: nn.Module) -> None:
    """Take over the tensors of the real network: parameters of its own on the same memory."""
    from torch import nn

    inside = _take_adapted(network, real)
    layers = dict(network.named_modules(remove_duplicate=False))
    for path, layer in real.named_modules(remove_duplicate=False):
        if f"{path}.".startswith(inside):
            continue
        for leaf, parameter in layer._parameters.items():
            if parameter is not None:
                own = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
                layers[path]._parameters[leaf] = own
        for leaf, buffer in layer._buffers.items():
            if buffer is not None:
                layers[path]._buffers[leaf] = buffer.clone()  # small, and some are written to


def _take_adapted(network: nn.Module, real: nn.Module) -> tuple[str, ...]:
    """Take over the layers that a skeleton lacks, of adapters and of GGUF; what their tensors begin with."""
    names = [
        name
        for name, module in real.named_modules()
        if hasattr(module, "lora_A") or type(module).__name__ == "GGUFLinear"
    ]
    for name in names:
        owner, leaf = _owner(network, name)
        owner._modules[leaf] = sharing_copy(real.get_submodule(name))
    return tuple(f"{name}." for name in names)


def _owner(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    return network.get_submodule(path), leaf


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New parameters get a dtype, process-wide: hence the lock around it."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _no_randomness() -> Iterator[None]:
    """Leave the global random state as it was."""
    import torch

    state: torch.Tensor = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
