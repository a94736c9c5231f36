"""Networks that come into being when a call looks at more of them than what nobody can change.

A pipeline is given all of its parts, and most calls use few: those that encode text read the denoiser's
configuration and the decoder's, and never touch a layer. Such a part costs them nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowsynth.models.families.diffusers.copying import FIXED, network_copy

if TYPE_CHECKING:
    from torch import nn

    Action = Callable[[nn.Module], None]

#: Attribute of an object that is no network yet: what it is to become, and what is to be done to it then.
_LATER = "_flowsynth_later"
_waiting: dict[type[Any], type[Any]] = {}


def postponed(template: nn.Module, begin: Action) -> nn.Module:
    """An object that becomes a copy of a network without weights.

    Args:
        template: the network.
        begin: is given the copy.
    """
    made: nn.Module = object.__new__(_waiting_class(type(template)))
    object.__getattribute__(made, "__dict__")[_LATER] = (template, [begin])
    return made


def once_there(network: Any, action: Action) -> None:
    """Do something to a network, as soon as it is one."""
    waiting = object.__getattribute__(network, "__dict__").get(_LATER)
    if waiting is None:
        action(network)
    else:
        waiting[1].append(action)


def _waiting_class(cls: type[Any]) -> type[Any]:
    """A subclass whose objects answer what is fixed out of the template, and become networks else."""
    if cls not in _waiting:

        def get(self: Any, name: str) -> Any:
            members = object.__getattribute__(self, "__dict__")
            if _LATER in members:
                value = getattr(members[_LATER][0], name)
                if _is_fixed(value):
                    return value
                _become(self)
            return getattr(self, name)

        def missing(_: Any, name: str) -> Any:  # called by Python once the above found nothing
            raise AttributeError(f"{cls.__name__} has no {name}")

        def put(self: Any, name: str, value: Any) -> None:
            _become(self)
            setattr(self, name, value)

        def remove(self: Any, name: str) -> None:
            _become(self)
            delattr(self, name)

        members: dict[str, Any] = {
            "__getattribute__": get,
            "__getattr__": missing,
            "__setattr__": put,
            "__delattr__": remove,
        }
        members |= {"__module__": cls.__module__, "__doc__": cls.__doc__}
        _waiting[cls] = type(cls.__name__, (cls,), members)
    return _waiting[cls]


def _is_fixed(value: Any) -> bool:
    import torch
    from diffusers.configuration_utils import FrozenDict

    return type(value) in FIXED or isinstance(value, (type, torch.dtype, torch.device, FrozenDict))


def _become(network: Any) -> None:
    template, actions = object.__getattribute__(network, "__dict__").pop(_LATER)
    object.__setattr__(network, "__class__", type(template))
    network_copy(template, network)
    for action in actions:
        action(network)
