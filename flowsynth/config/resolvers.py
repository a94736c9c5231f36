"""What ``${name:...}`` may call in configuration: OmegaConf's resolvers, and those that a user registered."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any, Protocol

from flowsynth.core.errors import Fault, RequestError, nearest
from flowsynth.core.secrets import SECRET_ENVIRONMENT, keep_secret, secret_names

Path = tuple[str | int, ...]

#: Names, apart by commas, of the environment variables that configuration may read.
ALLOWED_ENVIRONMENT = "FLOWSYNTH_ENV"


class BrokenError(Exception):
    """A value that cannot be worked out.

    Attributes:
        fault: what is wrong, without a path: that of the value which asked; None where it is named already.
    """

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        super().__init__(fault)


@dataclass(frozen=True, slots=True)
class Sized:
    """A value and its size when written out, in characters."""

    value: Any
    size: int


class LooksUp(Protocol):
    """What resolvers need of the configuration."""

    @property
    def now(self) -> datetime:
        """When it was asked for."""

    def look_up(self, key: str, asker: Path) -> Sized:
        """The value that a key leads to, from the place of the value that names it."""

    def decoded(self, path: Path, text: str) -> Sized:
        """The value that a text stands for."""


def resolve(values: LooksUp, path: Path, name: str, args: tuple[Any, ...]) -> Sized:
    """What a resolver gives.

    Args:
        values: the configuration.
        path: the place of the value that calls it.
        name: the resolver's.
        args: what it is given.

    Raises:
        BrokenError: no such resolver, or it cannot do what it is asked to.
    """
    text = f"${{{name}:{','.join(map(str, args))}}}"
    try:
        if name in _OWN:
            return _OWN[name](values, path, *args)
        made = _registered(name)(*args)
        return Sized(made, written_size(made))
    except BrokenError:
        raise
    except RequestError as error:
        raise BrokenError(Fault("", str(error))) from None
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise BrokenError(
            Fault("", "cannot be interpolated", "a key or a resolver", f"{text[:80]} ({reason})")
        ) from None


def _env(_values: LooksUp, _path: Path, name: str, *default: Any) -> Sized:
    """A variable of the environment, only if the user said so: its value ends up in every output file.

    That of a secret one does not: see `flowsynth.core.secrets`.
    """
    secret = name in secret_names()
    allowed = [*allowed_environment(), *secret_names()]
    if name not in allowed:
        expected = (
            f"a variable that {ALLOWED_ENVIRONMENT} names, as in {ALLOWED_ENVIRONMENT}={name} flowsynth ... "
            "(its value is then written into run.json and into every output file; "
            f"{SECRET_ENVIRONMENT}={name} keeps it out of both)"
        )
        fault = Fault(
            "", "reads the environment", expected, f"${{oc.env:{name}}}", nearest(str(name), allowed)
        )
        raise BrokenError(fault)
    if name not in os.environ and not default:
        raise BrokenError(
            Fault("", f"needs the environment variable {name}, which is not set", f"{name}=...")
        )
    value = os.environ.get(name, default[0] if default else None)
    if secret and name in os.environ:
        keep_secret(name, os.environ[name])
    return Sized(value if value is None else str(value), len(str(value)))


def _decode(values: LooksUp, path: Path, text: str | None) -> Sized:
    return Sized(None, 0) if text is None else values.decoded(path, str(text))


def _select(values: LooksUp, path: Path, key: str, *default: Any) -> Sized:
    try:
        return values.look_up(key, path)
    except BrokenError as error:
        if error.fault is None or not default:
            raise
        return Sized(default[0], written_size(default[0]))


def _keys(values: LooksUp, path: Path, key: str) -> Sized:
    found = values.look_up(key, path)
    return Sized(list(found.value), found.size)


def _values(values: LooksUp, path: Path, key: str) -> Sized:
    found = values.look_up(key, path)
    return Sized(list(found.value.values()), found.size)


def _create(_values: LooksUp, _path: Path, value: Any) -> Sized:
    return Sized(value, written_size(value))


def _deprecated(values: LooksUp, path: Path, key: str, *_message: Any) -> Sized:
    return values.look_up(key, path)


def _extreme(choose: Callable[[list[float]], float]) -> Callable[..., Sized]:
    """Of numbers, the one chosen; null is none, and of nothing but nulls it is null."""

    def pick(_values: LooksUp, _path: Path, *args: Any) -> Sized:
        wrong = [arg for arg in args if arg is not None and (type(arg) not in (int, float) or isnan(arg))]
        if wrong or not args:
            raise BrokenError(Fault("", "compares what is no number", "numbers or null", repr(wrong or "")))
        numbers = [arg for arg in args if arg is not None]
        return Sized(choose(numbers) if numbers else None, 8)

    return pick


def _now(values: LooksUp, _path: Path, pattern: str | None = None) -> Sized:
    """The time of the request, the same wherever it is asked: for all jobs of a sweep too."""
    if not pattern:
        raise BrokenError(Fault("", "asks for the time", "a pattern, such as ${now:%Y-%m-%d_%H-%M-%S}"))
    text = values.now.strftime(str(pattern))
    return Sized(text, scalar_size(text))


def _hydra(values: LooksUp, path: Path, key: str) -> Sized:
    return values.look_up(f"hydra.{key}", path)


_OWN: dict[str, Callable[..., Sized]] = {
    "hydra": _hydra,
    "now": _now,
    "max": _extreme(max),
    "min": _extreme(min),
    "oc.env": _env,
    "oc.decode": _decode,
    "oc.select": _select,
    "oc.create": _create,
    "oc.deprecated": _deprecated,
    "oc.dict.keys": _keys,
    "oc.dict.values": _values,
}

#: Resolvers that give the same for the same values, as long as the process runs.
OWN = frozenset(_OWN)


def _registered(name: str) -> Callable[..., Any]:
    """A resolver that code which the user runs has registered with OmegaConf."""
    from omegaconf import OmegaConf

    found = OmegaConf._get_resolver(name)
    if found is None:
        raise BrokenError(
            Fault(
                "", "unknown resolver", f"one of {', '.join(sorted(_OWN))}", repr(name), nearest(name, _OWN)
            )
        )
    root = OmegaConf.create({})
    return lambda *args: found(root, root, root, args, tuple(map(str, args)))


def allowed_environment() -> list[str]:
    """Names of the environment variables that the user lets configuration read."""
    return [name for name in re.split(r"[,\s]+", os.environ.get(ALLOWED_ENVIRONMENT, "")) if name]


def scalar_size(value: Any) -> int:
    """The size of a value that has no parts, in characters."""
    return 8 + (len(value) if isinstance(value, str) else 0)


def written_size(value: Any) -> int:
    """The size of a value without interpolations, in characters."""
    size, todo = 0, [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            size += sum(len(str(key)) for key in item)
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        else:
            size += scalar_size(item)
    return size
