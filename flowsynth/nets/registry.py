"""From a role to the networks that have it: those of this distribution by their files, and plug-ins.

Nothing is imported, torch least of all, until a checkpoint is there to be known.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from flowsynth.core.errors import FlowsynthError
from flowsynth.core.plugins import distribution_of, entry_points_of
from flowsynth.nets.architecture import Architecture, Network, State
from flowsynth.nets.roles import Role

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Entry points ``ROLE.NAME = module:ARCHITECTURE`` of other distributions.
ENTRY_POINT_GROUP = "flowsynth.nets"
_ATTRIBUTE = "ARCHITECTURE"
_ByRole: TypeAlias = dict[str, dict[str, Architecture[Any]]]
#: What shapes and names that no trainer writes make of the arithmetic of a builder.
_DAMAGED = (LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Known:
    """The networks of all roles.

    Attributes:
        by_role: name of a role -> name of an architecture -> it.
        broken: distribution -> why none of its architectures counts.
    """

    by_role: Mapping[str, Mapping[str, Architecture[Any]]]
    broken: Mapping[str, str]


def shipped(role: str) -> dict[str, str]:
    """Module of every network of a role in this distribution, by its file's name."""
    files = sorted((_FOLDER / role).glob("*.py"))
    return {file.stem: f"{__package__}.{role}.{file.stem}" for file in files if file.stem[0] != "_"}


def networks_code(*roles: Role[Any]) -> tuple[str, ...]:
    """The code of the networks of some roles, as `Operator.uses` names what a static walk can't see."""
    return tuple(f"{module}:{_ATTRIBUTE}" for role in roles for module in shipped(role.name).values())


def plugins() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by the name of their distribution."""
    found = defaultdict(list)
    for points in entry_points_of(ENTRY_POINT_GROUP).values():
        for point in points:
            found[distribution_of(point)].append(point)
    return {name: tuple(points) for name, points in found.items()}


def plugin_code(role: Role[Any]) -> tuple[str, ...]:
    """The code of plugged-in networks of a role, as "module:symbol", sorted."""
    points = (point for group in plugins().values() for point in group)
    return tuple(sorted(point.value for point in points if point.name.partition(".")[0] == role.name))


@cache
def known() -> Known:
    """All networks. A distribution's are all there, or where one of them is at fault none is."""
    found: _ByRole = {}
    for folder in sorted(path for path in _FOLDER.iterdir() if (path / "__init__.py").is_file()):
        modules = shipped(folder.name).values()
        found[folder.name] = {a.name: a for a in (_architecture(m, _ATTRIBUTE) for m in modules)}
    broken = {}
    for distribution, points in plugins().items():
        joined = _joined(found, points)
        if isinstance(joined, str):
            broken[distribution] = joined
        else:
            found = joined
    return Known(found, broken)


def _joined(found: _ByRole, points: Iterable[EntryPoint]) -> _ByRole | str:
    """What there is with the networks of a distribution; or why these are left out."""
    try:
        return _with(found, points)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _with(found: _ByRole, points: Iterable[EntryPoint]) -> _ByRole:
    joined = {role: dict(networks) for role, networks in found.items()}
    for point in points:
        role = point.name.partition(".")[0]
        if role not in joined:
            raise FlowsynthError(f"{point.name}: expected ROLE.NAME with a role of {', '.join(joined)}")
        architecture = _architecture(point.module, point.attr)
        if architecture.name in joined[role]:
            raise FlowsynthError(f"{point.name}: there is a network {architecture.name} of that role already")
        joined[role][architecture.name] = architecture
    return joined


def _architecture(module: str, attribute: str) -> Architecture[Any]:
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, Architecture):
        raise FlowsynthError(f"{module}:{attribute} is a {type(found).__name__}; expected an Architecture")
    return found


def build_network(role: Role[Network], state: State, **options: bool) -> Network:
    """Build the network of a role that a checkpoint's names and shapes describe, and load it.

    Args:
        role: what it shall do.
        state: the tensors, out of their wrappers.
        options: what the role's networks can be built with or without.

    Raises:
        ValueError: no network of the role, or a damaged one; says what was looked for and found.
    """
    if hollow := [name for name, tensor in state.items() if not tensor.numel()]:
        raise ValueError(f"a damaged checkpoint: tensor {hollow[0]!r} holds no number")
    networks = known().by_role[role.name]
    fitting = [a for a in networks.values() if a.fits(state)]
    if len(fitting) > 1:
        raise ValueError(f"fits more than one network: {' and '.join(a.name for a in fitting)}")
    if not fitting and len(networks) > 1:
        raise ValueError(f"{_unknown(role, state)}{_instead(state)}")
    (architecture,) = fitting or networks.values()
    try:
        return cast("Network", architecture.build(state, **options))
    except ValueError as error:
        raise ValueError(f"{error}{'' if fitting else _instead(state)}") from error
    except _DAMAGED as error:
        raise ValueError(f"a damaged checkpoint of {architecture.name} ({error})") from error


def _unknown(role: Role[Any], state: State) -> str:
    expected = " or ".join(f"{a.name} ({a.layout})" for a in known().by_role[role.name].values())
    found = ", ".join(sorted(state)[:3]) or "no tensors"
    return f"not a checkpoint of a known network for {role.name}; expected {expected}; it has {found}"


def _instead(state: State) -> str:
    """What the checkpoint is, where a network of another role knows it; and what could not be asked."""
    fits = [
        f"{name} ({role.replace('_', ' ')})"
        for role, networks in known().by_role.items()
        for name, architecture in networks.items()
        if architecture.fits(state)
    ]
    text = f"; it is one of {' or '.join(fits)}" if fits else ""
    return text + "".join(f"; plug-in {name} is left out: {why}" for name, why in known().broken.items())
