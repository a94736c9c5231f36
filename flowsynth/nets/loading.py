"""Loading of a checkpoint into a network: all of it, or an error that names what doesn't fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

__all__ = ["load_exactly", "unwrapped"]

Network = TypeVar("Network", bound=nn.Module)
#: Trainers keep the tensors under one of these, the averaged ones first.
_NESTS = ("params_ema", "g_ema", "params", "state_dict", "model")
#: What lies beside the tensors that it belongs to: StyleGAN2's mean style.
_BESIDE = "latent_avg"


def unwrapped(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name, out of ``params_ema``, ``params`` or ``state_dict``."""
    beside = checkpoint.get(_BESIDE)
    for _ in _NESTS:  # a file may hold itself
        inner = (checkpoint.get(nest) for nest in _NESTS)
        checkpoint = next((found for found in inner if isinstance(found, Mapping)), checkpoint)
    tensors = {str(n): t for n, t in checkpoint.items() if isinstance(t, Tensor)}
    if isinstance(beside, Tensor):
        tensors.setdefault(_BESIDE, beside)
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def load_exactly(network: Network, state: Mapping[str, Tensor], what: str) -> Network:
    """Give a network the tensors of a checkpoint, in evaluation mode and without gradients.

    Args:
        network: built on the meta device, so that nothing is initialised for nothing.
        state: tensors by name; half floats become float32.
        what: the kind of checkpoint, for the message.

    Raises:
        ValueError: a name too many, a name missing, another shape, or numbers that are no floats.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name, shape in wanted.items():
        if name not in state:
            raise ValueError(f"not {what}: it has no tensor {name!r}")
        if not state[name].is_floating_point():
            raise ValueError(f"not {what}: tensor {name!r} holds {state[name].dtype}, expected floats")
        if tuple(state[name].shape) != shape:
            raise ValueError(
                f"not {what}: tensor {name!r} has shape {tuple(state[name].shape)}, expected {shape}"
            )
    if extra := sorted(set(state) - set(wanted)):
        raise ValueError(f"not {what}: it has a tensor {extra[0]!r} that the network hasn't")
    network.load_state_dict({name: state[name].float() for name in wanted}, assign=True)
    return network.eval().requires_grad_(False)
