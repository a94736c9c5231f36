"""Values on their way from node to node, each with the logical device that it is on.

Torch knows one CPU, so it can't tell ``sim:0`` from ``sim:1``, nor either from the host's memory: an edge
that is not transferred would only be found on a machine with several accelerators. The tag finds it on any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowsynth.core.devices import torch_name
from flowsynth.values.tensors import on_device

#: Where values lie that were mapped from the cache.
HOST = "cpu"


class TransferError(RuntimeError):
    """A fault of the engine: a value reached a node on another device than it is on."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A value and the logical device that it is on; JSON goes without."""

    value: Any
    device: str


def transfer(placed: Placed, device: str) -> Placed:
    """The value on another logical device: the one place where values move.

    Tensors move even where the tag says that they are there: an operator may leave its result on the host.
    """
    return Placed(on_device(placed.value, torch_name(device)), device)


def handed(port: str, value: Any, device: str) -> Any:
    """What an operator gets on a port: the value itself (or a list of values), if it is on its device.

    Raises:
        TransferError: it is not.
    """
    if type(value) is list and any(type(part) is Placed for part in value):
        return [handed(port, part, device) for part in value]
    if type(value) is not Placed:
        return value
    if value.device != device:
        raise TransferError(f"inputs.{port}: the value is on {value.device}, the node on {device}")
    return value.value
