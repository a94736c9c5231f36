import pytest
import yaml

import flowsynth as fs
from flowsynth.config import compose_graph, compose_request
from flowsynth.config.folders import graph_names, shipped_folders
from tests.config.conftest import Writer

EXPECTED = {
    "dream",
    "dream_video",
    "edit_image",
    "continue_clip",
    "generate",
    "hosted_image",
    "generate_clip",
    "image_to_image",
    "image_to_video",
    "inpaint",
    "interpolate_video",
    "long_video",
    "story_video",
    "short_video",
    "short_video_drawn",
    "short_video_topic",
    "stylize_video",
    "text_to_image",
    "text_to_video",
    "toon",
    "translate_image",
    "toon_edit",
    "upscale_video",
    "vid2vid",
    "video_to_video",
}
STAGES = sorted(path.stem for path in (shipped_folders().graphs / "stages").glob("*.yaml"))


def test_every_graph_that_is_promised_is_shipped(folder: Writer) -> None:
    assert set(graph_names()) == EXPECTED
    assert compose_request().graph["name"] == "toon"


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_shipped_graph_is_right_and_says_what_it_is(folder: Writer, name: str) -> None:
    graph = fs.compose(name)
    assert len(graph.nodes) >= 3
    assert len(graph.wanted()) == 1
    assert compose_graph(name)["description"].endswith(".")


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_shipped_graph_round_trips_through_yaml(folder: Writer, name: str) -> None:
    text = fs.compose(name).to_yaml()
    assert fs.Graph.from_yaml(text).to_yaml() == text


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_setting_of_a_graph_does_something(folder: Writer, name: str) -> None:
    own = yaml.safe_load((shipped_folders().graphs / f"{name}.yaml").read_text())
    settings = own.get("settings", {})  # none of its own where all are another graph's
    text = "".join(
        path.read_text()
        for path in [
            shipped_folders().graphs / f"{name}.yaml",
            *(shipped_folders().graphs / "stages").iterdir(),
        ]
    )
    # A stage that also serves graphs without a setting selects it.
    unused = [key for key in settings if f"${{{key}}}" not in text and f"${{oc.select:{key}," not in text]
    assert unused == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_used_by_two_graphs_or_more(stage: str) -> None:
    graphs = [path.read_text() for path in shipped_folders().graphs.glob("*.yaml")]
    assert sum(f"stages/{stage}@" in text for text in graphs) >= 2


def test_toon_has_every_verb_of_the_job(folder: Writer) -> None:
    ops = {type(node.operator).op for node in fs.compose("toon").nodes.values()}
    assert ops == {
        "read_video",
        "resize",
        "detail_transfer",
        "stylize",
        "annotate",
        "vae_encode",
        "text_encode",
        "denoise",
        "vae_decode",
        "temporal_smooth",
        "upscale",
        "interpolate",
        "encode_video",
    }


#: Those of family sd, whose ControlNets the graph names.
MODELS = ("pocket", "pocket_motion", "sd15", "sd15_animatediff", "sd15_toon")


@pytest.mark.parametrize("model", MODELS)
def test_toon_takes_every_model_configuration_with_its_controls(folder: Writer, model: str) -> None:
    fs.compose("toon", [f"model={model}"])


def test_every_experiment_gives_a_right_graph(folder: Writer) -> None:
    names = [path.stem for path in (shipped_folders().conf / "experiment").glob("*.yaml")]
    assert "diffutoon" in names
    for name in names:
        fs.Graph.from_dict(compose_request([f"experiment={name}"]).graph)
    params = compose_request(["experiment=diffutoon"]).graph["nodes"]["denoise"]["params"]
    assert params["window"] == 16
    assert params["controlnets"] == ["lines", "tile"]
    assert params["num_inference_steps"] == 10


@pytest.mark.parametrize(
    ("overrides", "drawn", "kept"),
    [
        (["frames=8"], 16, 8),
        (["frames=24"], 24, 24),
        (["frames=8", "model=sd15_animatediff"], 8, 8),
    ],
)
def test_a_clip_shorter_than_the_model_draws_well_is_cut_from_a_longer_one(
    folder: Writer, overrides: list[str], drawn: int, kept: int
) -> None:
    nodes = compose_graph("text_to_video", overrides)["nodes"]
    assert nodes["latents"]["params"]["num_frames"] == drawn
    assert nodes["kept"]["params"]["stop"] == kept
