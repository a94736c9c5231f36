"""Params enter keys by value; what travels on an edge is the same cold and warm and shared with nobody."""

from __future__ import annotations

import enum
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

import flowsynth as fs
from flowsynth.core.errors import RequestError
from flowsynth.values import Conditioning, Frames, Tensors


class Shape(BaseModel):
    pass


class Circle(Shape):
    r: int


class Square(Shape):
    r: int


class Mode(enum.Enum):
    A = "a"
    B = "b"


class Draw(fs.Operator):
    """Says what it was given."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    op = "v_draw"
    version = 1
    thing: Any = None
    shape: Shape = Shape()
    hidden: int = Field(default=0, exclude=True)
    _aside: int = PrivateAttr(0)

    def run(self, ctx: fs.RunContext, /) -> str:
        return f"{self.thing!r} {self.shape!r} {self.hidden} {self._aside}"


def aside(value: int) -> Draw:
    made = Draw()
    made._aside = value
    return made


def run(operator: fs.Operator, cache: Path) -> tuple[Any, int]:
    graph = fs.Graph("g")
    graph.add("n", operator)
    done = graph.run(cache_dir=cache)
    return done["n"], done.record.nodes["n"].tasks.computed


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Draw(shape=Circle(r=1)), Draw(shape=Circle(r=2))),
        (Draw(shape=Circle(r=1)), Draw(shape=Square(r=1))),
        (Draw(hidden=1), Draw(hidden=2)),
        (aside(1), aside(2)),
        (Draw(thing=(1, 2)), Draw(thing=[1, 2])),
        (Draw(thing={"b": 1, "a": 2}), Draw(thing={"a": 2, "b": 1})),
        (Draw(thing=Mode.A), Draw(thing="a")),
        (Draw(thing=Mode.A), Draw(thing=Mode.B)),
        (Draw(thing=0.0), Draw(thing=-0.0)),
        (Draw(thing=1), Draw(thing=1.0)),
        (Draw(thing=1), Draw(thing=True)),
        (Draw(thing=b"a"), Draw(thing="a")),
        (Draw(thing={1: 2}), Draw(thing={"1": 2})),
        (Draw(thing=float("nan")), Draw(thing=None)),
        (Draw(thing="\ud800"), Draw(thing="?")),
    ],
    ids=lambda operator: repr(operator).encode("ascii", "replace").decode(),
)
def test_params_that_differ_by_value_are_run(one: Draw, two: Draw, tmp_path: Path) -> None:
    for operator in (one, two):
        expected = operator.run(fs.RunContext())
        assert run(operator, tmp_path) == (expected, 1)
        assert run(operator, tmp_path) == (expected, 0)


def test_a_param_without_a_value_to_compare_is_refused_by_name(tmp_path: Path) -> None:
    for thing in (len, torch.zeros(1), object()):
        with pytest.raises(RequestError, match=r"nodes\.n\.params\.thing is a .*, which has no exact form"):
            run(Draw(thing=thing), tmp_path)
    with pytest.raises(
        RequestError, match=r"nodes\.n\.params\.thing\['f'\]\[0\]|nodes\.n\.params\.thing\.f\[0\]"
    ):
        run(Draw(thing={"f": [len]}), tmp_path)


def odd() -> dict[str, Any]:
    return OrderedDict(b=(1, 2), a={"z": 1, "y": [Mode.A.value]})


def odd_tensors() -> dict[str, torch.Tensor]:
    return {"b": torch.zeros(2, 3).T, "a": torch.ones(3)}


class GiveJson(fs.Operator):
    """Gives JSON of odd Python types."""

    op = "v_json"
    version = 1

    def run(self, ctx: fs.RunContext, /) -> dict:  # type: ignore[type-arg]
        return odd()


class GiveTensors(fs.Operator):
    """Gives tensors of odd strides."""

    op = "v_tensors"
    version = 1

    def run(self, ctx: fs.RunContext, /) -> Tensors:
        return Tensors(odd_tensors(), odd())


class GiveConditioning(fs.Operator):
    """Gives a conditioning."""

    op = "v_conditioning"
    version = 1

    def run(self, ctx: fs.RunContext, /) -> Conditioning:
        return Conditioning("sd", odd_tensors(), odd())


def spoil(meta: Any) -> None:
    meta["a"]["y"].append("spoilt")
    meta["new"] = 1


class LookAtJson(fs.Operator):
    """Says all that a reader can tell of a value, then spoils it."""

    op = "v_look_json"
    version = 1
    turn: int = 0

    def run(self, ctx: fs.RunContext, /, *, x: dict) -> str:  # type: ignore[type-arg]
        text = repr([x, type(x)])
        spoil(x)
        return text


class LookAtTensors(fs.Operator):
    """Says all that a reader can tell of a value, then spoils it."""

    op = "v_look_tensors"
    version = 1
    turn: int = 0

    def run(self, ctx: fs.RunContext, /, *, x: Tensors) -> str:
        return look(x)


class LookAtConditioning(fs.Operator):
    """Says all that a reader can tell of a value, then spoils it."""

    op = "v_look_conditioning"
    version = 1
    turn: int = 0

    def run(self, ctx: fs.RunContext, /, *, x: Conditioning) -> str:
        return look(x)


def look(x: Tensors | Conditioning) -> str:
    seen = [list(x.tensors), list(x.meta.items()), [t.stride() for t in x.tensors.values()]]
    text = repr([*seen, [t.tolist() for t in x.tensors.values()]])
    for tensor in x.tensors.values():
        tensor.add_(1)
    spoil(x.meta)
    return text


WAYS: dict[str, tuple[type[fs.Operator], type[fs.Operator]]] = {
    "json": (GiveJson, LookAtJson),
    "tensors": (GiveTensors, LookAtTensors),
    "conditioning": (GiveConditioning, LookAtConditioning),
}


@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("kept", ["auto", "always"])
def test_a_value_is_the_same_cold_and_warm_and_private(what: str, kept: str, tmp_path: Path) -> None:
    def run(turns: range) -> list[Any]:
        give, look = WAYS[what]
        graph = fs.Graph("g")
        source = graph.add("s", give(), cache=kept)
        names = [f"n{turn}" for turn in turns]
        for turn, name in zip(turns, names, strict=True):
            graph.add(name, look.model_validate({"turn": turn}), x=source)
        done = graph.run(cache_dir=tmp_path / "cache", outputs=[*names, "s"])
        return [done[name] for name in names]

    cold = run(range(3))
    warm = run(range(3, 6))
    assert len({*cold, *warm}) == 1
    assert "spoilt" not in cold[0]


def test_an_order_of_keys_is_part_of_a_value(tmp_path: Path) -> None:
    class Keys(fs.Operator):
        """Gives a dict."""

        op = "v_keys"
        version = 1
        order: str = "ab"

        def run(self, ctx: fs.RunContext, /) -> dict:  # type: ignore[type-arg]
            return dict.fromkeys(self.order, 1)

    class Join(fs.Operator):
        """Joins keys."""

        op = "v_join"
        version = 1
        sep: str = ","

        def run(self, ctx: fs.RunContext, /, *, x: dict) -> str:  # type: ignore[type-arg]
            return self.sep.join(x)

    def run(order: str, sep: str) -> Any:
        graph = fs.Graph("g")
        graph.add("j", Join(sep=sep), x=graph.add("s", Keys(order=order)))
        return graph.run(cache_dir=tmp_path / "cache")["j"]

    for order in ("ba", "ab"):
        for sep in ",;":
            assert run(order, sep) == sep.join(order)


def test_numbers_without_end_are_refused_and_named(tmp_path: Path) -> None:
    class Huge(fs.Operator):
        """Gives a number."""

        op = "v_huge"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> list:  # type: ignore[type-arg]
            return [10**5000]

    with pytest.raises(fs.RunFailedError, match=r"n\.out: value cannot be written as JSON: .*digits"):
        run(Huge(), tmp_path)


@pytest.mark.parametrize("data", [torch.full((1, 1, 2, 2), 1.5), torch.full((1, 1, 2, 2), float("nan"))])
def test_frames_out_of_range_are_no_result(data: torch.Tensor, tmp_path: Path) -> None:
    class Bright(fs.Operator):
        """Gives frames."""

        op = "v_bright"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> Frames:
            return Frames(data)

    with pytest.raises(fs.RunFailedError, match=r"n: .*Frames of floats lie in \[0, 1\]; given"):
        run(Bright(), tmp_path)
