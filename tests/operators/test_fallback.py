"""A graph that names networks goes on without their weights if, and only if, it says by what."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames
from flowsynth.weights.catalogue import catalogue, weights_path

Method = Upscale | Interpolate


class Clip(fs.Operator):
    """Four small frames that differ."""

    op = "fallback_clip"
    version = 1

    def run(self, ctx: RunContext, /) -> Frames:
        rows = torch.arange(12, dtype=torch.uint8).view(1, 1, 12, 1) * 20
        data = torch.cat([rows.expand(1, 3, 12, 16) + index for index in range(4)])
        return Frames(data.contiguous(), Fraction(10))


def graph(operator: Method) -> fs.Graph:
    made = fs.Graph("fallback")
    made.add("out", operator, frames=made.add("clip", Clip()))
    return made


CASES: list[tuple[Method, Method]] = [
    (Upscale(method="realesr-animevideo", fallback="lanczos"), Upscale(method="lanczos")),
    (Interpolate(method="rife", fallback="blend"), Interpolate(method="blend")),
]


@pytest.mark.parametrize(("operator", "other"), CASES)
def test_without_weights_the_other_method_runs_and_it_is_said(
    operator: Method, other: Method, tmp_path: Path
) -> None:
    run = graph(operator).run(cache_dir=tmp_path / "cache", offline=True)
    wanted = graph(other).run(cache_dir=tmp_path / "other")
    assert torch.equal(run["out"].tensor, wanted["out"].tensor)
    (note,) = run.record.nodes["out"].notes
    assert operator.method.split("-")[0] in note
    assert "flowsynth weights fetch" in note


@pytest.mark.parametrize(("operator", "other"), CASES)
def test_what_was_made_so_is_found_again_and_shared_with_the_plain_method(
    operator: Method, other: Method, tmp_path: Path
) -> None:
    graph(other).run(cache_dir=tmp_path / "cache")
    again = graph(operator).run(cache_dir=tmp_path / "cache", offline=True)
    assert again.record.nodes["out"].status == "hit"
    assert again.record.nodes["out"].notes
    plan = graph(operator).plan(cache_dir=tmp_path / "cache", offline=True)
    assert plan.steps["out"].status == "hit"


@pytest.mark.parametrize(("operator", "_other"), CASES)
def test_without_a_fallback_the_run_ends_with_a_message(
    operator: Method, _other: Method, tmp_path: Path
) -> None:
    strict = operator.model_copy(update={"fallback": None})
    with pytest.raises(FlowsynthError, match="weights fetch"):
        graph(strict).run(cache_dir=tmp_path / "cache", offline=True)


@pytest.mark.parametrize(("operator", "_other"), CASES)
def test_weights_that_are_there_are_used_and_a_fallback_is_no_part_of_the_key(
    operator: Method, _other: Method, tmp_path: Path
) -> None:
    assert operator._weights is not None
    path = weights_path(catalogue()[operator._weights], tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"looked at when it is loaded")
    context = RunContext(cache_dir=tmp_path, offline=True)
    assert operator.resolve(context, fetch=True) == operator.model_copy(update={"precision": "float32"})
    assert context.notes == []
    plain = operator.model_copy(update={"fallback": None})
    assert operator.key_params(()) == plain.key_params(())


def test_a_plan_without_a_run_fetches_nothing(tmp_path: Path) -> None:
    operator = CASES[0][0]
    context = RunContext(cache_dir=tmp_path)
    assert operator.resolve(context, fetch=False) == operator.model_copy(update={"precision": "float32"})
    assert not list(tmp_path.iterdir())
