"""The shipped configurations of real models, each held against its class, with nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import flowsynth as fs
from flowsynth.config.folders import shipped_folders
from flowsynth.core.errors import FlowsynthError
from flowsynth.models import Model
from flowsynth.models.families.diffusers import checks
from flowsynth.models.families.diffusers.facts import facts
from flowsynth.models.families.diffusers.ports import ports_of
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.parse import parse_model
from flowsynth.models.requests import DenoiseSettings
from tests.config.conftest import Writer

FOLDER = shipped_folders().conf / "model"
ANY = "a" * 40
TEXT = [
    "sdxl", "sdxl_turbo", "sd3", "flux_dev", "flux_schnell", "flux2_klein", "kolors", "hunyuan_dit",
    "playground", "pixart", "kandinsky", "deepfloyd_if", "qwen_image", "z_image",
]  # fmt: skip
CLIPS = [
    "cogvideox_2b", "cogvideox_5b", "wan_t2v", "wan22_t2v", "ltx", "hunyuanvideo", "latte", "skyreels",
    "skyreels_forcing",
    "animatediff_sdxl",
]  # fmt: skip
#: Graph -> the configurations that it is for.
GRAPHS = {
    "text_to_image": TEXT,
    "text_to_video": CLIPS,
    "inpaint": ["sdxl_inpaint", "flux_fill"],
    "edit_image": ["instruct_pix2pix", "flux_kontext", "unclip"],
    "image_to_video": ["wan_i2v", "cogvideox_i2v", "svd"],
    "video_to_video": ["wan_v2v"],
}
#: Those that no shipped graph is for -> the ports of denoise that their class takes.
OTHERS = {
    "wan_vace": ("video", "mask", "reference"),
    "wan_animate": ("image", "pose", "face"),
    "sparsectrl": ("control",),
    "sdxl_ip_adapter": ("image_prompt",),
}
PAIRS = [(graph, model) for graph, models in GRAPHS.items() for model in models]


def config(name: str) -> dict[str, Any]:
    text = (FOLDER / f"{name}.yaml").read_text().replace("???", ANY)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def commits(name: str) -> list[str]:
    """What names the commits that a configuration leaves open."""
    given = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    parts = {
        "source": given["source"],
        **{f"components.{k}": v for k, v in given.get("components", {}).items()},
    }
    return [f"model.{k}.revision={ANY}" for k, source in parts.items() if source["revision"] == "???"]


def test_every_configuration_of_the_family_is_here() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml") if "family: diffusers" in path.read_text()}
    assert names - {"pipeline", "open_sora2"} == {model for _, model in PAIRS} | set(OTHERS)


@pytest.mark.sample(8)
@pytest.mark.parametrize(("graph", "model"), PAIRS)
def test_a_graph_with_a_model_is_right_as_its_class_says(
    folder: Writer, graph: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, ports and sizes: all that a class shows without its weights."""
    monkeypatch.setattr(checks, "_NEEDS", {})  # what is not installed here is told too
    made = fs.compose(graph, [f"model={model}", *commits(model)])
    assert made.wanted()
    spec = parse_model(model, config(model))
    assert isinstance(spec, DiffusersSpec)
    assert spec.pipeline
    assert facts(spec.pipeline).name == spec.pipeline
    used = {
        port for node in made.nodes.values() if type(node.operator).op == "denoise" for port in node.inputs
    }
    assert used & set(ports_of(facts(spec.pipeline))) == used - {"model", "latents", "conditioning"}


@pytest.mark.parametrize("model", sorted(OTHERS))
def test_what_no_graph_is_for_takes_its_ports(model: str) -> None:
    spec = parse_model(model, config(model))
    inputs = {"conditioning": 1, "latents": 1, **dict.fromkeys(OTHERS[model], 1)}
    assert not Model(spec).check(DenoiseSettings(), inputs)


@pytest.mark.parametrize("model", sorted({model for _, model in PAIRS} | set(OTHERS)))
def test_a_configuration_says_licence_size_and_where_its_commit_is_from(model: str) -> None:
    head = " ".join(
        line[2:] for line in (FOLDER / f"{model}.yaml").read_text().splitlines() if line[:1] == "#"
    )
    assert re.search(r"about \d+ GB in (b?float16)\. Licence: \w", head)
    known = "revision: ???" not in (FOLDER / f"{model}.yaml").read_text().partition("components")[0]
    assert ("public projects pin" in head) == known
    assert ("No commit is known here" in head) != known


def test_a_commit_that_is_left_open_is_asked_for(folder: Writer) -> None:
    with pytest.raises(FlowsynthError, match=r"model\.source\.revision|source\.revision"):
        fs.compose("text_to_image", ["model=kandinsky"])


def test_options_of_a_class_are_known_before_its_files_are_here(folder: Writer) -> None:
    fs.compose("edit_image", ["+options.image_guidance_scale=1.2"])
    with pytest.raises(FlowsynthError, match="image_guidance_scale"):
        fs.compose("edit_image", ["+options.image_guidance_scal=1.2"])


NEAREST = sorted(path.stem for path in FOLDER.glob("like_*.yaml"))


@pytest.mark.parametrize("model", NEAREST)
def test_a_nearest_equivalent_says_that_it_is_one_and_stands_on_a_known_configuration(model: str) -> None:
    text = (FOLDER / f"{model}.yaml").read_text()
    head = " ".join(line[2:] for line in text.splitlines() if line[:1] == "#")
    assert "the nearest open equivalent" in head
    assert "not itself" in head
    (base,) = [item for item in yaml.safe_load(text)["defaults"] if item != "_self_"]
    assert f"see {base} for its licence and size" in head
    assert base in {name for _, name in PAIRS} | set(OTHERS)


def test_open_sora_takes_its_authors_files(folder: Writer) -> None:
    given = yaml.safe_load((FOLDER / "open_sora2.yaml").read_text())
    spec = parse_model("m", given)
    assert isinstance(spec, DiffusersSpec)
    known = facts(spec.class_name(offline=True))
    assert {"image", "last_image"} <= set(ports_of(known))
    with pytest.raises(FlowsynthError, match=r"models/open_sora2.*no such"):
        fs.compose("text_to_video", ["model=open_sora2", "upscaler=lanczos"]).run(
            outputs=["denoise"], cache_dir=Path("c")
        )
