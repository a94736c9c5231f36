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
    out = Stylize(style=style).run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, stylize(clip.tensor, style))
    assert out.kind == "rgb"


def test_every_option_is_an_argument_of_its_style() -> None:
    named = {str(name) for name in Stylize.model_json_schema()["properties"]["style"]["enum"]}
    assert set(_OPTIONS) == set(STYLES) == named - {"auto"}
    for style, options in _OPTIONS.items():
        arguments = inspect.signature(STYLES[style]).parameters  # type: ignore[index]
        assert set(options.values()) <= set(arguments)


@pytest.mark.parametrize(
    ("style", "option"), [(style, name) for style in _OPTIONS for name in _OPTIONS[style]]
)
def test_every_option_changes_the_result(style: str, option: str) -> None:
    clip = moving_clip(1, 64, 64, dtype="float32")
    value = {"levels": 3, "smoothing": 2.0}.get(option, 0.3)
    plain = Stylize(style=style).run(RunContext(), frames=clip)
    other = Stylize(style=style, **{option: value}).run(RunContext(), frames=clip)
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


@pytest.mark.parametrize(
    ("words", "style"),
    [
        ("Oil painting, thick brush strokes", "oil_painting"),
        ("a castle as a WATERCOLOUR, pencil lines", "watercolor"),
        ("sketched with a soft pencil", "pencil_sketch"),
        ("anime, ink", "toon"),
        ("a boiling kettle on toil", "watercolor"),  # words begin so, or not at all
        ("", "watercolor"),
    ],
)
def test_the_style_follows_the_words(words: str, style: str) -> None:
    clip = moving_clip(1)
    chosen = Stylize(style="auto", words=words, otherwise="watercolor")
    plain = Stylize.model_validate({"style": style})
    out = chosen.run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, plain.run(RunContext(), frames=clip).tensor)
    assert chosen.key_params(()) == plain.key_params(())


def test_words_that_name_no_style_may_leave_the_source() -> None:
    clip = moving_clip(2)
    none = Stylize(style="auto", words="a castle", otherwise="none")
    assert none.run(RunContext(), frames=clip) is clip
    assert "none" in str(Stylize(style="auto", otherwise="none", lines=0.5).check({})[0])
