"""Operators from their names and params, as YAML and `Graph.add` give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from flowsynth.core.errors import Fault, listing, nearest
from flowsynth.core.operator import Operator
from flowsynth.core.ports import ports_of
from flowsynth.core.registry import BrokenOperatorError, UnknownOperatorError, operator_class
from flowsynth.core.validation import faults_of


def operator_of(op: str, params: Mapping[str, Any], path: str, faults: list[Fault]) -> Operator | None:
    """The operator of a node; None where there is none.

    Where only its params are wrong, one without them stands in, so that its ports are looked at all the same.
    """
    if not op:
        return None  # which is a fault that is noted already
    try:
        cls = operator_class(op)
    except UnknownOperatorError as error:
        faults.append(Fault(f"{path}.op", "unknown operator", "a name from `ops`", repr(op), error.nearest))
        return None
    except BrokenOperatorError as error:
        faults.append(Fault(f"{path}.op", "cannot be used", "a sound operator", str(error)))
        return None
    try:
        return cls(**params)
    except ValidationError as error:
        at = f"{path}.params"
        faults += [_better(fault, at, cls) for fault in faults_of(error, params, at, cls.model_fields)]
    except TypeError:  # a key that is not a text
        bad = [k for k in map(type, params) if k is not str]
        faults.append(
            Fault(
                f"{path}.params",
                "not a mapping with text keys",
                "param: value",
                f"keys of type {bad[0].__name__}",
            )
        )
    return cls.model_construct()


def _better(fault: Fault, path: str, cls: type[Operator]) -> Fault:
    """A fault of params with what the operator's class knows besides: its ports, and what a param is."""
    name = fault.path.removeprefix(f"{path}.")
    if fault.message == "unknown param" and name in cls.moved:
        return Fault(fault.path, "has moved", f"params.{cls.moved[name]}", fault.given)
    if fault.message == "unknown param" and name in ports_of(cls).inputs:
        return replace(fault, message="unknown param; that is a port: put it under inputs")
    if fault.message == "missing param" and name in cls.model_fields:
        return replace(fault, expected=str(cls.model_fields[name].description or name))
    return fault


def named_operator(
    op: str, given: Mapping[str, Any], path: str, faults: list[Fault]
) -> tuple[Operator | None, dict[str, Any]]:
    """An operator out of keywords that are its params and what feeds its ports, side by side.

    Args:
        op: its name.
        given: keyword -> a param, or whatever feeds a port.
        path: of the node, for faults.
        faults: gets what is wrong.

    Returns:
        The operator, None if there is none of the name, and what is for ports.
    """
    try:
        cls = operator_class(op)
    except (UnknownOperatorError, BrokenOperatorError):
        return operator_of(op, {}, path, faults), {}
    ports, fields = ports_of(cls).inputs, cls.model_fields
    inputs = {name: value for name, value in given.items() if name in ports}
    params = {name: value for name, value in given.items() if name in fields}
    names = [*ports, *fields]
    for name in [name for name in given if name not in names]:
        near = nearest(name, names)
        faults.append(
            Fault(f"{path}.{name}", "unknown port or param", listing(names), repr(given[name])[:80], near)
        )
    return operator_of(op, params, path, faults), inputs
