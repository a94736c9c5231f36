"""What the shipped graphs make of a real picture with the shipped model, judged by figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from flowsynth.core.context import RunContext
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.measure.measure import Measure
from flowsynth.values import Frames

SIDE = 192


def picture(path: str) -> Frames:
    return ReadImage(path=path, short_side=SIDE).run(RunContext())


def likeness(made: Frames, source: Frames) -> float:
    return float(Measure().run(RunContext(), frames=made, reference=source).values["ssim"])


def mean_colour(frames: Frames) -> Tensor:
    return frames.to_float().mean((0, 2, 3))


@pytest.fixture
def redraw(cli: Callable[..., tuple[int, str, str]], home: Path) -> Callable[..., Frames]:
    def run(prompt: str, *overrides: str) -> Frames:
        argv = ["run", "graph=image_to_image", f"prompt={prompt}", f"short_side={SIDE}", "cache.dir=c"]
        code, out, err = cli(*argv, *overrides, "offline=true", "-q")
        assert code == 0, err
        return picture(out.splitlines()[-1])

    return run


def test_image_to_image_keeps_the_picture_and_follows_the_prompt(redraw: Callable[..., Frames]) -> None:
    source = picture("picture:astronaut")
    kept = redraw("a portrait")  # no style is named: the picture itself is the guide
    assert likeness(kept, source) > 0.9
    assert (mean_colour(kept) - mean_colour(source)).abs().max() < 0.02
    assert not torch.equal(kept.tensor, source.tensor)
    painted, drawn = redraw("oil painting"), redraw("pencil sketch")
    assert 0.4 < likeness(painted, source) < likeness(kept, source)
    assert (mean_colour(painted) - mean_colour(source)).abs().max() < 0.05
    spread = drawn.to_float().amax(1) - drawn.to_float().amin(1)
    assert spread.mean() < 0.08, "graphite has no colour"


@pytest.mark.slow
def test_strength_is_to_taste(redraw: Callable[..., Frames]) -> None:
    source = picture("picture:astronaut")
    weak, strong = (redraw("a portrait", f"strength={s}", "take=whole") for s in (0.2, 0.8))
    assert likeness(strong, source) < likeness(weak, source)
    assert likeness(strong, source) > 0.6, "it is still that portrait"
