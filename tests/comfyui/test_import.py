"""Workflows as graphs: what they become, that both formats become one, and that what they become is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowsynth.api import Graph
from flowsynth.cli import main
from flowsynth.comfyui.importing import NotImportedError, import_workflow
from flowsynth.config import compose_request
from tests.comfyui.build import Api, as_ui
from tests.comfyui.flows import EVERY


def imported(data: Any, folder: Path, **options: Any) -> dict[str, Any]:
    file = folder / "flow.json"
    file.write_text(json.dumps(data))
    found: dict[str, Any] = yaml.safe_load(import_workflow(file, **options).text)
    return found


def changed(api: Api, kind: str, **inputs: Any) -> Api:
    """The workflow with other inputs of the nodes of a class."""
    for node in api.values():
        if node["class_type"] == kind:
            node["inputs"] |= inputs
    return api


@pytest.mark.parametrize("name", EVERY)
def test_both_formats_become_one_graph_that_has_no_fault(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = imported(EVERY[name](), tmp_path)
    assert imported(as_ui(EVERY[name]()), tmp_path) == graph
    (tmp_path / "graphs").mkdir()
    text = import_workflow(tmp_path / "flow.json").text
    (tmp_path / "graphs" / "flow.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    composed = compose_request(["graph=flow"])
    assert len(Graph.from_dict(composed.graph).nodes) == len(graph["nodes"])


def only(graph: dict[str, Any], op: str) -> dict[str, Any]:
    (found,) = [node for node in graph["nodes"].values() if node["op"] == op]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("denoise", "steps", "total"), [(0.5, 10, 20), (0.75, 20, 26), (0.33, 7, 21)])
def test_denoise_runs_as_many_steps_as_it_says(
    denoise: float, steps: int, total: int, tmp_path: Path
) -> None:
    api = changed(EVERY["from_picture"](), "KSampler", denoise=denoise, steps=steps)
    params = only(imported(api, tmp_path), "denoise")["params"]
    assert params["num_inference_steps"] == total
    assert int(total * params["strength"]) == steps


def test_weights_noise_and_seeds_are_comfyui_s(tmp_path: Path) -> None:
    graph = imported(EVERY["batch"](), tmp_path)
    assert only(graph, "text_encode")["params"]["options"] == {"syntax": "comfy"}
    assert only(graph, "denoise")["params"]["options"] == {"noise": "independent"}
    assert only(graph, "empty_latents")["params"]["num_frames"] == 3
    large = only(imported(EVERY["custom_advanced"](), tmp_path), "denoise")["params"]["seed"]
    assert large == 2**64 - 1


def test_percents_of_the_noise_schedule_become_shares_of_the_steps(tmp_path: Path) -> None:
    api = changed(EVERY["controlnet_advanced"](), "KSampler", steps=10, scheduler="normal")
    params = only(imported(api, tmp_path), "denoise")["params"]
    assert (params["control_start"], params["control_end"]) == (0.2, 0.7)
    # Karras' steps lie close together where there is little noise: fewer of them are before a percent.
    api = changed(EVERY["controlnet_advanced"](), "KSampler", steps=10, scheduler="karras")
    karras = only(imported(api, tmp_path), "denoise")["params"]
    assert karras["control_end"] < params["control_end"]


def test_a_lora_of_two_strengths_is_two_models(tmp_path: Path) -> None:
    models = imported(EVERY["lora_strengths"](), tmp_path)["models"]
    assert [model["loras"][0]["scale"] for model in models.values()] == [0.8, 0.4]
    (model,) = imported(EVERY["lora"](), tmp_path)["models"].values()
    assert model["loras"] == [{"source": "${models_folder}/loras/style.safetensors", "scale": 0.8}]


def test_learned_words_are_declared(tmp_path: Path) -> None:
    api = changed(EVERY["plain"](), "CLIPTextEncode", text="a cat, (embedding:bad-hands:1.2), sky")
    (model,) = imported(api, tmp_path)["models"].values()
    assert model["textual_inversion"] == [
        {"source": "${models_folder}/embeddings/bad-hands.safetensors", "token": "embedding:bad-hands"}
    ]


def test_everything_that_is_missing_is_named_at_once_with_what_it_feeds(tmp_path: Path) -> None:
    api = EVERY["two_results"]()
    api["1"]["class_type"] = "CheckpointLoderSimple"
    api["6"]["inputs"]["sampler_name"] = "res_multistep"
    api["9"]["class_type"] = "Sparkle"
    api["9"]["_meta"] = {"title": "make it nice"}
    with pytest.raises(NotImportedError) as caught:
        imported(api, tmp_path)
    text = str(caught.value)
    assert "CheckpointLoderSimple #1: no such node class here; did you mean 'CheckpointLoaderSimple'?" in text
    assert "Sparkle #9 'make it nice'" in text
    assert "feeds SaveImage #8, SaveImage #11" in text
    assert len(text.splitlines()) == 3  # what only reads from them is not at fault


def test_the_nearest_sampler_is_named_and_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    api = changed(EVERY["plain"](), "KSampler", sampler_name="res_multistep")
    with pytest.raises(NotImportedError, match="did you mean 'dpmpp_2m'"):
        imported(api, tmp_path)
    assert only(imported(api, tmp_path, near=True), "denoise")["params"]["scheduler"] == "dpmpp_2m"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"seed": 2**64}, "seed: expected 0 to 2\\^64 - 1"),
        ({"denoise": 0}, "denoise above 0 to 1"),
        ({"steps": 0}, "expected 1 step or more"),
        ({"steps": "many"}, "steps: expected a number, given 'many'"),
        ({"scheduler": "karas"}, "did you mean 'karras'"),
        ({"cfg": -1}, "cfg: expected a number from 0 on"),
        ({"model": ["2", 0]}, "model: expected Net, given Room"),
        ({"model": ["99", 0]}, "reads from #99, which the workflow does not have"),
        ({"positive": None}, "positive: nothing is connected"),
    ],
)
def test_wrong_values_are_named(inputs: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(NotImportedError, match=message):
        imported(changed(EVERY["plain"](), "KSampler", **inputs), tmp_path)


def test_the_command_writes_a_graph_and_says_how_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flow.json").write_text(json.dumps(EVERY["plain"]()))
    assert main(["import", "comfyui", "flow.json", "-o", "graphs/mine.yaml"]) == 0
    out = capsys.readouterr()
    assert out.out == "graphs/mine.yaml\n"
    assert "run it: flowsynth run graph=mine" in out.err
    assert main(["import", "comfyui", "flow.json", "--models", "/comfy/models"]) == 0
    assert "models_folder: /comfy/models" in capsys.readouterr().out
    assert main(["import", "comfyui", "none.json"]) == 2
    assert "none.json: expected a ComfyUI workflow" in capsys.readouterr().err
    assert main(["import", "invoke", "flow.json"]) == 2
