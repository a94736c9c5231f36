"""Classes whose objects say that they lie on a node's device, whatever their weights lie on."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")
_made: dict[tuple[type[Any], str, tuple[str, ...]], type[Any]] = {}


def placed(cls: type[T], device: str, *names: str) -> type[T]:
    """A subclass of the same name whose properties say a device.

    Args:
        cls: of a network or a pipeline.
        device: torch's name of it.
        names: of the properties, such as ``device``.
    """
    import torch

    key = (cls, device, names)
    if key not in _made:
        place = torch.device(device)
        members: dict[str, Any] = {name: property(lambda _: place) for name in names}
        members |= {"__module__": cls.__module__, "__doc__": cls.__doc__}
        _made[key] = type(cls.__name__, (cls,), members)
    return _made[key]
