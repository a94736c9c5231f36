import inspect

import pytest
import torch

from flowsynth.core.context import RunContext
from flowsynth.functional.style.stylize import STYLES, stylize
from flowsynth.operators.picture.stylize import _OPTIONS, Stylize
from tests.operators.conftest import moving_clip


@pytest.mark.parametrize("style", list(STYLES))
def test_the_operator_is_the_function(style: str) -> None:
    clip = moving_clip(2, dtype="float32")
    out = Stylize(style=style).run(RunContext(), frames=clip)  # type: ignore[arg-type]
    assert torch.equal(out.tensor, stylize(clip.tensor, style))  # type: ignore[arg-type]
    assert out.kind == "rgb"


def test_every_option_is_an_argument_of_its_style() -> None:
    assert set(_OPTIONS) == set(STYLES) == set(Stylize.model_json_schema()["properties"]["style"]["enum"])
    for style, options in _OPTIONS.items():
        arguments = inspect.signature(STYLES[style]).parameters  # type: ignore[index]
        assert set(options.values()) <= set(arguments)


@pytest.mark.parametrize(
    ("style", "option"), [(style, name) for style in _OPTIONS for name in _OPTIONS[style]]
)
def test_every_option_changes_the_result(style: str, option: str) -> None:
    clip = moving_clip(1, 64, 64, dtype="float32")
    value = {"levels": 3, "smoothing": 2.0}.get(option, 0.3)
    plain = Stylize(style=style).run(RunContext(), frames=clip)  # type: ignore[arg-type]
    other = Stylize(style=style, **{option: value}).run(RunContext(), frames=clip)  # type: ignore[arg-type]
    assert not torch.equal(plain.tensor, other.tensor)


def test_strength_zero_leaves_the_source() -> None:
    clip = moving_clip(2)
    assert torch.equal(Stylize(strength=0.0).run(RunContext(), frames=clip).tensor, clip.tensor)


def test_an_option_of_another_style_is_a_fault() -> None:
    (fault,) = Stylize(style="oil_painting", levels=4).check({})
    assert str(fault) == (
        "params.levels: oil_painting has no such option; "
        "expected one of saturation, texture, smoothing; given 4"
    )
    assert Stylize(style="toon", levels=4, lines=0.5).check({}) == []
