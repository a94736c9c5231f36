"""What each part of a redraw does to a real picture, asserted on the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.training.judge_clips import frame_changes
from flowsynth.values import Frames
from tests.pocket.conftest import Pocket, change, colourfulness, frames, pixels

#: diffusers gives numpy 2 tensors without its new argument of ``__array__``.
quiet = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Redraw:
    """A toon picture drawn anew under its lines and itself as tile."""

    def __init__(self, pocket: Pocket, photo: Frames, toon: Frames) -> None:
        self.pocket = pocket
        self.inputs: dict[str, Any] = {"start": toon, "lines": photo, "tile": toon, "seed": 0}
        self.params = {"num_inference_steps": 8, "strength": 0.5, "guidance_scale": 2.0}
        self.default = self("toon")

    def __call__(self, prompt: Any = "toon", **changed: Any) -> Frames:
        return self.pocket.make(prompt, **{**self.inputs, **self.params, **changed})


@pytest.fixture(scope="module")
def redraw(pocket: Pocket, photo: Frames, toon: Frames) -> Redraw:
    return Redraw(pocket, photo, toon)


@pytest.fixture(scope="module")
def converged(redraw: Redraw) -> Frames:
    """Where solvers without noise of their own should all arrive."""
    return redraw(scheduler="ddim", num_inference_steps=16)


@pytest.fixture(scope="module")
def inverted(toon: Frames) -> Frames:
    return frames(255 - pixels(toon))


def target(photo: Frames, style: str) -> Frames:
    return Stylize(style=style).run(RunContext(), frames=photo)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("prompt", "style"), [("pencil sketch", "pencil_sketch"), ("watercolor", "watercolor")]
)
def test_a_prompt_moves_the_picture_to_the_style_that_it_names(
    redraw: Redraw, photo: Frames, prompt: str, style: str
) -> None:
    wanted = target(photo, style)
    assert change(redraw(prompt), wanted) < change(redraw.default, wanted) - 1


def test_a_pencil_sketch_loses_its_colours(redraw: Redraw) -> None:
    assert colourfulness(redraw("pencil sketch")) < 0.6 * colourfulness(redraw.default)


def test_a_travelling_prompt_goes_from_one_style_to_the_other(
    redraw: Redraw, toon: Frames, photo: Frames
) -> None:
    clips = {name: frames(np.repeat(pixels(clip), 3, 0)) for name, clip in (("toon", toon), ("photo", photo))}
    inputs = {"start": clips["toon"], "tile": clips["toon"], "lines": clips["photo"]}
    made = redraw({0: "toon", 2: "pencil sketch"}, **inputs)
    first, middle, last = (colourfulness(made.slice(i, i + 1)) for i in range(3))
    assert first > middle > last
    assert last < 0.7 * first


def test_a_negative_prompt_moves_the_picture_away_from_what_it_names(redraw: Redraw, photo: Frames) -> None:
    sketch = target(photo, "pencil_sketch")
    without, other = (redraw("", negative=name, guidance_scale=4.0) for name in ("pencil sketch", "toon"))
    assert change(without, sketch) > change(other, sketch) + 5
    assert colourfulness(without) > colourfulness(other)


def test_guidance_adds_to_what_the_prompt_does(redraw: Redraw) -> None:
    low, high = (change(redraw("pencil sketch", guidance_scale=g), redraw.default) for g in (1.0, 3.0))
    assert high > 1.2 * low


def test_a_seed_gives_its_picture_again_and_another_one_differs_less_than_another_prompt(
    redraw: Redraw,
) -> None:
    again, other = redraw(), redraw(seed=1)
    assert torch.equal(again.tensor, redraw.default.tensor)
    assert 0.2 < change(other, redraw.default) < 0.5 * change(redraw("pencil sketch"), redraw.default)


@pytest.mark.slow
def test_noise_shared_by_frames_keeps_a_still_clip_still(redraw: Redraw, toon: Frames, photo: Frames) -> None:
    inputs = {"start": toon, "tile": toon, "lines": photo}
    still = {name: frames(np.repeat(pixels(clip), 3, 0)) for name, clip in inputs.items()}
    shared, independent = (redraw(**still, options={"noise": noise}) for noise in ("shared", "independent"))
    assert frame_changes(pixels(shared)).max() < 0.1
    assert frame_changes(pixels(independent)).min() > 0.2


def test_more_strength_moves_further_from_the_start(redraw: Redraw, toon: Frames) -> None:
    free = {"lines": None, "tile": None, "num_inference_steps": 10}
    ways = [change(redraw(strength=strength, **free), toon) for strength in (0.2, 0.5, 0.9)]
    assert ways[0] < 0.8 * ways[1] < 0.8 * 0.8 * ways[2]


def test_strength_0_gives_the_start_back(redraw: Redraw, pocket: Pocket, toon: Frames) -> None:
    model = pocket.model()
    kept = VaeDecode().run(
        pocket.ctx, latents=VaeEncode().run(pocket.ctx, frames=toon, model=model), model=model
    )
    assert torch.equal(redraw(strength=0.0).tensor, kept.tensor)


@pytest.mark.slow
def test_the_tile_control_carries_colours_in_proportion_to_its_scale(
    redraw: Redraw, inverted: Frames
) -> None:
    ways = [  # from 0.4 on, training asks for the whole of it
        change(redraw(tile=inverted, strength=0.8, control_scale=(1.0, scale)), inverted)
        for scale in (0.0, 0.2, 1.0)
    ]
    assert ways[0] > ways[1] + 5 > ways[2] + 10


@pytest.mark.slow
def test_a_control_acts_from_its_start_to_its_end(redraw: Redraw, inverted: Frames) -> None:
    def way(**params: Any) -> float:
        return change(redraw(tile=inverted, strength=0.8, **params), inverted)

    never, always = way(control_scale=(1.0, 0.0)), way()
    assert way(control_end=(1.0, 0.0)) == never
    for part in ({"control_end": (1.0, 0.5)}, {"control_start": (0.0, 0.5)}):
        assert always + 5 < way(**part) < never - 5


def test_each_control_acts_beside_the_other(redraw: Redraw, inverted: Frames, photo: Frames) -> None:
    no_lines = redraw(lines=frames(np.zeros_like(pixels(photo))))
    assert change(no_lines, redraw.default) > 0.5
    assert change(redraw(tile=inverted), redraw.default) > 5


@pytest.mark.sample(1)
@quiet
@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "unipc", "heun"])
def test_schedulers_without_noise_of_their_own_agree_at_many_steps(
    redraw: Redraw, converged: Frames, name: str
) -> None:
    apart = 0.5 * change(redraw(seed=1), redraw.default)
    assert change(redraw(scheduler=name, num_inference_steps=16), converged) < apart


@quiet
@pytest.mark.slow
def test_a_scheduler_with_noise_of_its_own_goes_another_way(redraw: Redraw, converged: Frames) -> None:
    ways = [
        change(redraw(scheduler=name, num_inference_steps=16), converged) for name in ("euler", "euler_a")
    ]
    assert ways[1] > 2 * ways[0]


def test_tiles_of_the_autoencoder_leave_no_trace(pocket: Pocket, photo: Frames) -> None:
    model = pocket.model()
    made = []
    for size in (0, 32):
        latents = VaeEncode(tile_size=size).run(pocket.ctx, frames=photo, model=model)
        made.append(VaeDecode(tile_size=size).run(pocket.ctx, latents=latents, model=model))
    assert change(*made) < 0.02
    assert change(made[1], photo) < 12


@pytest.mark.slow
def test_windows_change_a_clip_little_and_leave_no_edge(redraw: Redraw, toon: Frames, photo: Frames) -> None:
    """Eight equal frames of every input, cut to a third, in windows of four."""
    inputs = {"start": toon, "tile": toon, "lines": photo}
    clips = {name: frames(np.repeat(pixels(clip)[:, 16:80, 16:80], 8, 0)) for name, clip in inputs.items()}
    params = {**clips, "num_inference_steps": 4, "motion": True, "options": {"noise": "independent"}}
    whole = redraw(**params, window=8)
    made = redraw(**params, window=4, stride=2)
    assert 0 < change(made, whole) < 0.3 * change(redraw(**params, window=8, seed=1), whole)
    changes = frame_changes(pixels(made))
    edges = np.arange(1, 8) % 2 == 0
    assert changes[edges].mean() < 1.3 * changes[~edges].mean()
