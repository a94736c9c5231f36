"""What words, lines, motion and LoRAs mean to the family, read from the pixels by the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flowsynth.core.shipped import asset_folder
from flowsynth.training.judge import judge, overlap
from flowsynth.training.judge_clips import direction, judge_clip
from flowsynth.training.shapes import Drawing, Shape
from flowsynth.values import Frames
from tests.pocket.conftest import Pocket, change, frames, pixels

SHAPES = (
    ("a large red circle in the center on a blue background", ("circle", "red", "large", "", "blue")),
    ("a small green square on the left on a white background", ("square", "green", "small", "left", "white")),
    ("a yellow triangle at the top on a purple background", ("triangle", "yellow", "", "top", "purple")),
    ("a large black star on the right on a pink background", ("star", "black", "large", "right", "pink")),
    (
        "a small white circle at the bottom on a brown background",
        ("circle", "white", "small", "bottom", "brown"),
    ),
    ("a cyan square in the center on a black background", ("square", "cyan", "", "", "black")),
)
DRAWING = Drawing((Shape("star", "yellow", "large", "left"),), "blue")
PARAMS: dict[str, Any] = {"num_inference_steps": 8, "guidance_scale": 3.0}
QUICK: dict[str, Any] = {**PARAMS, "num_inference_steps": 4}


def drawn() -> npt.NDArray[np.uint8]:
    return DRAWING.render(64, np.random.default_rng(0))


def iou(made: Frames) -> float:
    seen, wanted = judge(pixels(made)[0]).first, judge(drawn()).first
    assert wanted is not None
    return overlap(seen.mask, wanted.mask) if seen else 0.0


def test_prompts_give_the_shapes_that_they_name(pocket: Pocket) -> None:
    prompts = {i: prompt for i, (prompt, _) in enumerate(SHAPES)}
    made = pocket.make(prompts, frames=len(prompts), seed=tuple(prompts), **PARAMS)
    right = []
    for picture, (_, asked) in zip(pixels(made), SHAPES, strict=True):
        seen = judge(picture)
        found = seen.first and (seen.first.name, seen.first.colour, seen.first.size, seen.first.side)
        right += [a == b for a, b in zip((*(found or [None] * 4), seen.background), asked, strict=True)]
    assert np.mean(right) > 0.8


OPEN = [("colour", "a large circle on a white background"), ("name", "a large red shape")]


#: What so many seeds make of a prompt that leaves something open: (seeds, what, prompt, negative) -> names.
Found = Callable[..., list[str]]
some_seeds = pytest.mark.parametrize("seeds", [7, pytest.param(12, marks=pytest.mark.slow)])


@pytest.fixture(scope="session")
def found(pocket: Pocket) -> Found:
    @cache
    def names(seeds: int, what: str, prompt: str, negative: str = "") -> list[str]:
        made = pocket.make(prompt, frames=seeds, seed=tuple(range(seeds)), negative=negative, **PARAMS)
        seen = [judge(picture).first for picture in pixels(made)]
        return [getattr(shape, what) if shape else "none" for shape in seen]

    return names


@pytest.mark.sample(1)
@some_seeds
@pytest.mark.parametrize(("what", "prompt"), OPEN)
def test_seeds_choose_what_a_prompt_leaves_open(found: Found, what: str, prompt: str, seeds: int) -> None:
    plain = found(seeds, what, prompt)
    assert len(set(plain) - {"none"}) >= {"colour": 4, "name": 2}[what]
    assert max(map(plain.count, plain)) < seeds * 5 / 6


@pytest.mark.sample(1)
@some_seeds
@pytest.mark.parametrize("phrase", [False, True], ids=["word", "phrase"])
@pytest.mark.parametrize(("what", "prompt"), OPEN)
def test_a_negative_prompt_removes_what_a_prompt_leaves_open(
    found: Found, what: str, prompt: str, phrase: bool, seeds: int
) -> None:
    counts = Counter(found(seeds, what, prompt))
    usual = {name: count for name, count in counts.items() if name != "none" and count >= seeds / 4}
    phrases = {"colour": "a {} circle", "name": "a red {}"}
    negatives = {name: phrases[what].format(name) if phrase else name for name in usual}
    left = [found(seeds, what, prompt, negative).count(name) for name, negative in negatives.items()]
    assert usual
    assert sum(left) < 0.6 * sum(usual.values())


def test_the_tile_control_places_a_shape_and_gives_its_colours(pocket: Pocket) -> None:
    made = pocket.make("a yellow shape on a blue background", tile=frames(drawn()[None]), seed=0, **PARAMS)
    seen = judge(pixels(made)[0])
    assert iou(made) > 0.85
    assert seen.first is not None
    assert (seen.background, seen.first.name, seen.first.colour) == ("blue", "star", "yellow")


def test_lines_alone_place_a_shape_the_more_the_higher_their_scale(pocket: Pocket) -> None:
    prompt, lines = "a yellow shape on a blue background", frames(drawn()[None])
    full, half, none = (
        iou(pocket.make(prompt, lines=lines, seed=0, control_scale=scale, **PARAMS))
        for scale in (1.0, 0.5, 0.0)
    )
    assert full > 0.8
    assert full >= half - 0.05
    assert none < 0.6


@pytest.mark.sample(1)
@pytest.mark.parametrize("way", ["left", "right", "up", "down"])
def test_a_clip_moves_where_its_prompt_says(pocket: Pocket, way: str) -> None:
    prompt = f"a small red circle moving {way} on a white background"
    made = pocket.make(prompt, frames=12, seed=0, motion=True, **QUICK)
    assert direction(judge_clip(pixels(made))) == way


def test_auto_noise_of_a_clip_is_what_its_motion_modules_ask_for(pocket: Pocket) -> None:
    clips = {
        noise: pocket.make(
            "a small red circle", frames=3, motion=True, options={"noise": noise}, num_inference_steps=1
        )
        for noise in ("auto", "shared", "independent")
    }
    assert change(clips["auto"], clips["shared"]) == 0
    assert change(clips["auto"], clips["independent"]) > 1


def loras() -> list[Path]:
    return sorted(asset_folder("pocket").glob("lora*/**/*.safetensors"))


@pytest.mark.sample(1)
@pytest.mark.parametrize("path", loras(), ids=lambda path: path.parent.name)
def test_a_lora_acts_with_its_scale_and_is_gone_at_0(pocket: Pocket, path: Path) -> None:
    text: dict[str, Any] = {"prompt": "a large red circle on a blue background", "seed": 0, **QUICK}
    plain = pocket.make(**text)
    made = [pocket.make(**text, loras=({"source": str(path), "scale": s},)) for s in (0.0, 0.5, 1.0)]
    ways = [change(picture, plain) for picture in made]
    assert ways[0] < 0.01
    assert ways[0] < ways[1] < ways[2]
