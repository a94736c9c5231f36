"""The ports of an operator, read off the signature of its `run`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from flowsynth.core.codec import is_temporal
from flowsynth.core.operator import Operator

#: The only output of an operator that does not return a NamedTuple.
DEFAULT_OUTPUT = "out"

_JSON_TYPES = (bool, int, float, str, list, dict)
_LISTS = (list, tuple, Sequence)
_WIDENS = {bool: (int, float), int: (float,)}


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of an operator.

    Attributes:
        name: the name that edges use.
        type: the value's class; `object` for a port that takes any JSON.
        many: a fan-in port: takes one edge or a list of edges, and `run` gets a list.
        required: must be connected.
    """

    name: str
    type: type[Any]
    many: bool = False
    required: bool = True

    @property
    def is_model(self) -> bool:
        """Fed by an entry of ``models:``, not by a node."""
        return bool(getattr(self.type, "is_model", False))

    @property
    def temporal(self) -> bool:
        """Carries a value that can be cut along time."""
        return is_temporal(self.type)

    @property
    def type_name(self) -> str:
        """The type for messages."""
        name = "any JSON" if self.type is object else self.type.__name__
        return f"list of {name}" if self.many else name

    def collects(self, given: Sequence[Any]) -> bool:
        """Whether `run` gets a list of what these edges bring; else it gets what the only one brings.

        A fan-in port for JSON takes one edge that brings such a list as it is.

        Args:
            given: the types of the outputs at the other ends.
        """
        return self.many and not (len(given) == 1 and self._is_list(given[0]))

    def fits(self, other: Any, *, alone: bool) -> bool:
        """Whether a value of another port's type may arrive here, by the only edge or among several."""
        return self.accepts(other) or (self.many and alone and self._is_list(other))

    def _is_list(self, other: Any) -> bool:
        return other in (list, object) and (self.type is object or self.type in _JSON_TYPES)

    def accepts(self, other: Any) -> bool:
        """Whether a value of another port's type may arrive here."""
        if issubclass(other, self.type):
            return self.type is not object or not hasattr(other, "codec_name")
        return self.type in _WIDENS.get(other, ()) or (other is object and self.type in _JSON_TYPES)


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of an operator.

    Attributes:
        inputs: name -> port, in the order of `run`'s arguments.
        outputs: name -> port; one called ``out`` unless `run` returns a NamedTuple.
        many_outputs: `run` returns a NamedTuple.
    """

    inputs: dict[str, Port]
    outputs: dict[str, Port]
    many_outputs: bool


@cache
def ports_of(cls: type[Operator]) -> Ports:
    """The ports of an operator class.

    Raises:
        TypeError: `run` is not of the form ``run(self, ctx, /, *, name: Type, ...) -> Type``.
    """
    params = list(inspect.signature(cls.run).parameters.values())[2:]
    hints = _hints(cls, {param.name for param in params} | {"return"})
    inputs: dict[str, Port] = {}
    for param in params:
        if param.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if param.kind is not inspect.Parameter.KEYWORD_ONLY or param.name not in hints:
            raise TypeError(f"{cls.__qualname__}.run: port {param.name!r} must be keyword-only and annotated")
        inputs[param.name] = _port(
            cls, param.name, hints[param.name], param.default is inspect.Parameter.empty
        )
    if "return" not in hints:
        raise TypeError(f"{cls.__qualname__}.run: the return type is missing")
    return Ports(inputs, *_outputs(cls, hints["return"]))


def _hints(cls: type[Operator], names: set[str]) -> dict[str, Any]:
    """The annotations of some arguments of `run`; the others (``ctx``) need not resolve."""

    def shim() -> None:
        """Holds the annotations, since `typing` wants a function."""

    shim.__annotations__ = {name: hint for name, hint in cls.run.__annotations__.items() if name in names}
    try:
        return typing.get_type_hints(shim, cls.run.__globals__)
    except NameError as error:
        raise TypeError(
            f"{cls.__qualname__}.run: {error}; a port's type must be importable where the class is defined"
        ) from error


def _outputs(cls: type[Operator], hint: Any) -> tuple[dict[str, Port], bool]:
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        fields = typing.get_type_hints(hint)
        return {name: _output(cls, name, fields[name]) for name in fields}, True
    return {DEFAULT_OUTPUT: _output(cls, DEFAULT_OUTPUT, hint)}, False


def _output(cls: type[Operator], name: str, hint: Any) -> Port:
    bare = _without_none(hint)
    if bare is hint:
        return _port(cls, name, hint, required=True, fan_in=False)
    if _is_value(bare):
        raise TypeError(
            f"{cls.__qualname__}.run: {name!r} may be None, which no value type is; give a number or a text "
            "that says so as an output of its own"
        )
    return Port(name, object)


def _port(cls: type[Operator], name: str, hint: Any, required: bool, fan_in: bool = True) -> Port:
    hint = _without_none(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    many = origin in _LISTS and len(set(args) - {...}) == 1 and (fan_in or _is_value(_without_none(args[0])))
    if many:
        hint = _without_none(args[0])
        origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal and len(set(map(type, args))) == 1:
        hint, origin = type(args[0]), None
    if origin is Sequence:
        origin = list
    if hint is Any or hint is object or isinstance(hint, types.UnionType) or origin is typing.Union:
        return Port(name, object, many, required)
    kind = origin or hint
    if kind in _JSON_TYPES or _is_value(kind):
        return Port(name, kind, many, required)
    raise TypeError(f"{cls.__qualname__}.run: {name!r} is a {hint}, which is neither JSON nor a value type")


def _is_value(hint: Any) -> bool:
    return isinstance(hint, type) and (hasattr(hint, "codec_name") or hasattr(hint, "is_model"))


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint
