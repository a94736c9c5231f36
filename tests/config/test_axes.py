"""From axes to jobs: Hydra's product, pairs, ranges of seeds; each refused by name when malformed."""

from __future__ import annotations

import pytest

from flowsynth.config import sweep
from flowsynth.config.hydra_overrides import parse_overrides
from flowsynth.core.errors import RequestError
from tests.config.conftest import Writer


def test_a_product_is_hydras_own(folder: Writer) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for lines in (
        ["a=1,2", "b=x,'y, z'", "c=3"],
        ["seed=range(3)", "prompt='a b','c'", "+d=[1,2],[3]", "~e"],
        ["a=1,2", "b=1,2", "a=7"],
        ["seed=choice(4,5)", "m={k: 1},{k: 2}", "n=null,true,1.5"],
        ["graph=toon,upscale_video", "model@graph.models.base=a,b"],
    ):
        parsed = OverridesParser.create().parse_overrides(lines)
        assert sweep(lines) == BasicSweeper.split_arguments(parsed, None)[0]


def test_paired_axes_go_together(folder: Writer) -> None:
    jobs = sweep(["prompt=zip('a b',c)", "by=1,2", "seed=zip(5,6)"])
    first = jobs[0][0]
    assert jobs == [
        [first, "by=1", "seed=5"],
        [first, "by=2", "seed=5"],
        ["prompt=c", "by=1", "seed=6"],
        ["prompt=c", "by=2", "seed=6"],
    ]
    assert parse_overrides([first], sweeping=False)[0].value() == "a b"


@pytest.mark.parametrize(
    "line", ["prompt=choice('a b','c, d')", "prompt=a b,'c, d'", "prompt=zip('a b','c, d')"]
)
def test_texts_stay_as_they_were_typed(folder: Writer, line: str) -> None:
    made = [parse_overrides(job, sweeping=False)[0].value() for job in sweep([line])]
    assert made == ["a b", "c, d"]


def test_ranges_of_seeds(folder: Writer) -> None:
    assert sweep(["seed=3..5"]) == [["seed=3"], ["seed=4"], ["seed=5"]]
    assert sweep(["seed=-1..0,7"]) == [["seed=-1"], ["seed=0"], ["seed=7"]]
    assert len(sweep(["graph.nodes.denoise.params.seed=1..4", "by=1,2"])) == 8
    assert sweep(["path=a..b"]) == [["path=a..b"]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["seed=5..3"], "seed: no range of seeds; expected FIRST..LAST, whole numbers in this order"),
        (["seed=1..x"], "seed: no range of seeds"),
        (["seed=1..2..3"], "seed: no range of seeds"),
        (
            ["seed=1..9999999,4"],
            "seed: no range of seeds; expected one range, or at most 10000 seeds in a list",
        ),
        (["seed=zip(1,2)", "prompt=zip(a,b,c)"], "as many values for each; given seed has 2, prompt has 3"),
        (["seed=zip()"], "seed: cannot be read"),
        (["seed=interval(0,1)"], "seed: a sweep that cannot be counted"),
        (["seed=zipp(1,2)"], "seed: cannot be read"),
    ],
)
def test_what_is_no_axis_is_refused_by_name(folder: Writer, lines: list[str], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        sweep(lines)
    assert said in str(caught.value)
