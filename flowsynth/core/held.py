"""Params that hold still: what `run` writes into a dict or list of its own params would be in no key."""

from __future__ import annotations

import json
import types
import typing
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union

from flowsynth.core.canonical import plain_json
from flowsynth.core.errors import RunError
from flowsynth.core.keys import StaticKey
from flowsynth.core.operator import Operator

_FIRM = (
    bool, int, float, str, bytes, complex, type(None), Enum, PurePath, Fraction, Decimal, date, time,
    timedelta, tzinfo,
)  # fmt: skip


@cache
def loose_fields(cls: type[Operator]) -> tuple[str, ...]:
    """The params of a class that may hold something that can be written to."""
    return tuple(name for name, info in cls.model_fields.items() if not _firm(info.annotation))


def _firm(hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return True
    if origin is Annotated:
        return _firm(args[0])
    if origin in (Union, types.UnionType, tuple, frozenset):
        return all(arg is Ellipsis or _firm(arg) for arg in args)
    return isinstance(hint, type) and issubclass(hint, _FIRM)


def require_held(operator: Operator, static: StaticKey) -> None:
    """Raise where params are no longer those that the key was made of.

    Raises:
        RunError: names the param.
    """
    loose = loose_fields(type(operator))
    if not any(getattr(operator, name) for name in loose):
        return
    now = operator.key_params(json.loads(static.files) if static.files else ())
    before = json.loads(static.params)
    for name in loose:
        if plain_json(now.get(name)) != plain_json(before.get(name)):
            raise RunError(
                f"params.{name} changed while the run went on; its result belongs to no key and is not kept: "
                "run() must not write to params"
            )
