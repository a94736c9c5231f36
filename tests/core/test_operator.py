"""Operators, their ports, and the registry."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from pydantic import Field, ValidationError

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError
from flowsynth.core.ports import ports_of
from flowsynth.core.registry import UnknownOperatorError, operator_class
from flowsynth.values import Frames, Latents


class Halves(NamedTuple):
    low: int
    rest: Frames


class Split(fs.Operator):
    op = "test_split"
    version = 1
    at: int = Field(default=1, ge=0)

    def run(
        self, ctx: fs.RunContext, /, *, frames: Frames, extra: list[Latents] | None = None, scale: float = 1.0
    ) -> Halves:
        return Halves(self.at, frames)


def test_ports_are_read_off_the_signature() -> None:
    ports = ports_of(Split)
    assert list(ports.inputs) == ["frames", "extra", "scale"]
    assert ports.inputs["frames"].temporal
    assert ports.inputs["frames"].required
    assert ports.inputs["extra"].many
    assert not ports.inputs["extra"].required
    assert ports.inputs["scale"].accepts(int)
    assert not ports.inputs["scale"].accepts(str)
    assert not ports.inputs["frames"].accepts(Latents)
    assert list(ports.outputs) == ["low", "rest"]


def test_params_are_checked_and_frozen() -> None:
    with pytest.raises(ValidationError):
        Split(at=-1)
    with pytest.raises(ValidationError):
        Split(wrong=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Split().at = 3  # type: ignore[misc]  # that is what is tested


def test_unannotated_port_is_refused() -> None:
    class Bad(fs.Operator):
        op = "test_bad"
        version = 1

        def run(self, ctx: RunContext, /, *, x):  # type: ignore[no-untyped-def]
            return x

    with pytest.raises(TypeError, match="'x'"):
        ports_of(Bad)


def test_names_resolve_and_typos_get_the_nearest() -> None:
    assert operator_class("test_split") is Split
    with pytest.raises(UnknownOperatorError, match="did you mean 'test_split'"):
        operator_class("test_splt")


def test_shipped_names_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "flowsynth.core.operator.shipped_modules", lambda: {"taken": "flowsynth.operators.size.taken"}
    )
    with pytest.raises(FlowsynthError, match="shipped operator"):

        class Taken(fs.Operator):
            op = "taken"
            version = 1
