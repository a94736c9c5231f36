"""The size of frames that a graph shows before a run is the one that a run gives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.core.registry import operator_class, operator_names
from flowsynth.core.sizes import Size, Sizes, Upstream
from flowsynth.values import Audio, Flow, Frames

WIDTH, HEIGHT = 60, 42
#: Operators that say how large their frames are, with params that take little; several of some.
CASES: dict[str, list[dict[str, Any]]] = {
    "annotate": [{"detector": "canny"}],
    "blend_mask": [{}],
    "burn_subtitles": [{}],
    "color_match": [{"cut": 0}],
    "concat": [{}],
    "contrast": [{}],
    "crop": [{"width": 20, "height": 10}, {"left": 5}, {"top": 1, "height": 7}],
    "detail_transfer": [{}],
    "fill": [{}],
    "fit_clips": [{"width": 20, "height": 30}],
    "interpolate": [{"method": "blend", "factor": 2}],
    "invert": [{}],
    "overlay": [{"text": "x"}],
    "resize": [
        {"width": 31, "height": 17},
        {"short_side": 21},
        {"factor": 0.5, "multiple_of": 8},
        {"width": 64, "height": 64, "mode": "pad"},
        {"long_side": 90},
    ],
    "reverse": [{}],
    "sharpen": [{}],
    "stylize": [{"style": "toon"}],
    "take_mask": [{"grow": 2}],
    "temporal_smooth": [{"method": "gaussian"}],
    "trim": [{"stop": 2}],
    "upscale": [{"factor": 1.5}, {"width": 33}, {"width": 20, "height": 30}],
    "warp": [{}],
}
#: Those that read files say what they were asked for, need weights or give more: their own tests.
ELSEWHERE = {"read_image", "read_video", "dream", "frame_to_frame", "pad"}


def clip() -> Frames:
    return Frames(torch.rand(3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)), fps=8)


def feeds(op: str) -> dict[str, Any]:
    """What the operator reads, all of one size."""
    more: dict[str, dict[str, Any]] = {
        "fit_clips": {"cues": [{"start": 0, "end": 1, "text": "x"}], "audio": Audio(torch.zeros(9, 1), 9)},
        "burn_subtitles": {"cues": [{"start": 0, "end": 1, "text": "x"}]},
        "blend_mask": {"over": clip(), "mask": clip()},
        "fill": {"mask": clip()},
        "color_match": {"reference": clip()},
        "detail_transfer": {"redrawn": clip(), "reference": clip()},
        "warp": {"flow": Flow(torch.zeros(3, 2, HEIGHT, WIDTH), fps=Fraction(8))},
    }
    return {"frames": [clip(), clip()] if op in ("concat", "fit_clips") else clip(), **more.get(op, {})}


class _Clip:
    def frame_size(self, _sizes: Sizes, /) -> Size:
        return WIDTH, HEIGHT


def above(_port: str) -> tuple[_Clip, Upstream]:
    return _Clip(), above


def test_every_operator_that_says_a_size_is_tried() -> None:
    saying = {
        name
        for name in operator_names()
        if (cls := operator_class(name)).__module__.startswith("flowsynth.")
        and (cls.same_size or cls.frame_size is not fs.Operator.frame_size)
    }
    assert saying == CASES.keys() | ELSEWHERE


@pytest.mark.parametrize(("op", "params"), [(op, params) for op, all_ in CASES.items() for params in all_])
def test_what_is_said_is_what_comes(op: str, params: dict[str, Any]) -> None:
    operator = operator_class(op)(**params)
    given = operator.run(RunContext(), **feeds(op))
    assert operator.frame_size(Sizes(above)) == (given.width, given.height)


def chain(*nodes: dict[str, Any]) -> dict[str, Any]:
    """A graph of nodes one after the other, called n0, n1, ..."""
    made = {}
    for number, node in enumerate(nodes):
        made[f"n{number}"] = {**node, "inputs": {"frames": f"n{number - 1}"}} if number else node
    return {"nodes": made, "outputs": [f"n{len(nodes) - 1}"]}


READ = {"op": "read_video", "params": {"path": "clip.mp4", "width": 60, "height": 14}}
H265 = {"op": "encode_video", "params": {"codec": "h265"}}


@pytest.mark.parametrize(
    ("between", "wrong"),
    [
        ([{"op": "stylize"}, {"op": "temporal_smooth"}], r"n3\.params\.codec: .* at least .*given 60x14"),
        (
            [{"op": "resize", "params": {"width": 20, "height": 9}}, {"op": "reverse"}],
            r"n3\.params\.codec: .*given 20x10",
        ),
        (
            [{"op": "trim"}, {"op": "crop", "params": {"left": 50, "width": 20}}],
            r"n2\.params: .*leaves the frame",
        ),
        (
            [
                {"op": "sharpen"},
                {"op": "upscale", "params": {"width": 16000}},
                {"op": "resize", "params": {"factor": 9}},
            ],
            r"n3\.params: .*at most 16384",
        ),
    ],
)
def test_a_size_that_cannot_be_is_told_before_a_run(between: list[dict[str, Any]], wrong: str) -> None:
    with pytest.raises(GraphError, match=wrong):
        fs.Graph.from_dict(chain(READ, *between, H265))


def test_a_size_that_fits_is_no_fault() -> None:
    larger = {"op": "upscale", "params": {"factor": 4}}
    fs.Graph.from_dict(chain(READ, {"op": "stylize"}, larger, H265))


def test_a_long_chain_costs_no_stack() -> None:
    fs.Graph.from_dict(chain(READ, *[{"op": "reverse"}] * 1500, H265))


class _Odd:
    def frame_size(self, _sizes: Sizes, /) -> Size | None:
        raise ZeroDivisionError


def test_an_operator_that_cannot_say_is_not_known() -> None:
    assert Sizes(lambda _port: (_Odd(), above))("frames") is None
