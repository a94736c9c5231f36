"""Families of other packages: found, described, and refused by name where they cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.errors import GraphError, RequestError
from flowsynth.models import parse_model
from flowsynth.models.registry import families_with, family, family_names, shipped_families
from tests.models.plugged import forget, install
from tests.recipes.copies import recipe

SHIPPED = "flowsynth.models.families.colours"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget()


def colours(package: str) -> dict[str, str]:
    """The recipe's family, as a package of its own."""
    return {Path(path).name: text.replace(SHIPPED, package) for path, text in recipe("Add a family").items()}


def test_the_shipped_families_are_the_folders() -> None:
    assert shipped_families() == {"diffusers", "gan", "janus", "sd", "videogpt"}
    assert set(family_names()) == shipped_families()
    assert set(families_with("denoise")) == {"diffusers", "sd"}
    with pytest.raises(
        RequestError, match="unknown model family 'ds'; expected one of diffusers, gan, janus, sd, v"
    ):
        family("ds")


def test_the_recipe_s_family_works_from_another_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"colours": "paint_family.family:Colours"}
    install(tmp_path / "site", "paint_family", colours("paint_family"), place, monkeypatch)
    (tmp_path / "palette.json").write_text('{"teal": [0, 0.5, 0.5]}')
    assert family_names() == ["colours", "diffusers", "gan", "janus", "sd", "videogpt"]
    graph = fs.Graph.from_yaml(f"""
models: {{base: {{family: colours, source: "{tmp_path}"}}}}
nodes:
  prompt: {{op: text_encode, inputs: {{model: models.base}}, params: {{prompt: teal}}}}
  latents: {{op: empty_latents, inputs: {{model: models.base}}, params: {{height: 8, width: 8}}}}
  made: {{op: denoise, inputs: {{model: models.base, latents: latents, conditioning: prompt}}}}
  frames: {{op: vae_decode, inputs: {{model: models.base, latents: made}}, params: {{dtype: float32}}}}
outputs: [frames]
""")
    made = graph.run(cache_dir=tmp_path / "cache")["frames"].tensor
    assert torch.equal(made[0, :, 0, 0], torch.tensor([0, 0.5, 0.5]))


BROKEN = {
    "a shipped name": ("sd", "family:Colours", "is shipped with flowsynth, and the plug-in 'paint' "),
    "no such module": ("paint", "nowhere:Colours", "cannot be loaded (ModuleNotFoundError"),
    "no such class": ("paint", "family:Colors", "cannot be loaded (AttributeError"),
    "no family": (
        "paint",
        "family:ColoursDenoise",
        "lacks check, check_spec, control_frames, describe",
    ),
    "another name": ("paint", "family:Colours", "calls itself 'colours'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_plug_in_that_cannot_be_used_is_refused_by_name(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, place, message = BROKEN[case]
    install(tmp_path, "paint", colours("paint"), {name: f"paint.{place}"}, monkeypatch)
    with pytest.raises(GraphError) as caught:
        parse_model("base", {"family": name, "source": "x"})
    assert f"models.base.family: model family {name!r}" in str(caught.value)
    assert "'paint'" in str(caught.value)
    assert message.removesuffix(" ") in str(caught.value)
    assert set(families_with("denoise")) <= {"diffusers", "sd"}, "a broken plug-in hurts nobody else"


def test_two_plug_ins_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("paint", "brush"):
        install(
            tmp_path / package,
            package,
            colours(package),
            {"colours": f"{package}.family:Colours"},
            monkeypatch,
        )
    with pytest.raises(RequestError, match=r"'colours' is the one of the plug-in 'brush' .*'paint'"):
        family("colours")
