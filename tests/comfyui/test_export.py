"""Graphs as workflows: the way there and back again is stable, and what has no counterpart is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowsynth.cli import main
from flowsynth.comfyui.importing import import_workflow
from tests.comfyui.flows import EVERY

#: Workflows that come back; the others hold nodes that `export` refuses.
BACK = [
    "plain", "batch", "from_picture", "scaled_picture", "latent_upscale", "latent_upscale_by",
    "hires_by_pixels", "inpaint_masked", "combine", "average", "concat", "area", "area_shares", "mask_prompt",
    "zeroed", "advanced", "custom", "skipped_layers", "two_results", "joined_pictures", "lora", "vae",
    "dpmpp_2m_karras", "uni_pc_bh2_sgm_uniform", "ddim_ddim_uniform", "dpmpp_3m_sde_karras",
]  # fmt: skip


def meaning(graph: dict[str, Any]) -> Any:
    """A graph without the names of its nodes: each node with all that feeds it."""
    nodes, models = graph["nodes"], graph.get("models", {})

    def of(edge: str) -> Any:
        name, _, port = edge.partition(".")
        if name == "models":
            return models[port]
        node = nodes[name]
        inputs = {
            key: [of(each) for each in value] if isinstance(value, list) else of(value)
            for key, value in node.get("inputs", {}).items()
        }
        return [node["op"], port, node.get("params"), inputs]

    return [of(output) for output in graph["outputs"]]


def round_trip(folder: Path) -> tuple[dict[str, Any], str]:
    """The graph of ``flow.json``, and that of what it is exported as, which becomes ``flow.json``."""
    text = import_workflow(folder / "flow.json").text
    (folder / "graphs").mkdir(exist_ok=True)
    (folder / "graphs" / "flow.yaml").write_text(text)
    assert main(["export", "comfyui", "graph=flow", "-o", str(folder / "flow.json")]) == 0
    found: dict[str, Any] = yaml.safe_load(text)
    return found, text


@pytest.mark.parametrize("name", BACK)
def test_there_and_back_again_is_one_meaning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_text(json.dumps(EVERY[name]()))
    first, _ = round_trip(tmp_path)
    second, text = round_trip(tmp_path)
    assert meaning(second) == meaning(first)
    assert round_trip(tmp_path)[1] == text


def test_what_has_no_counterpart_is_named_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "odd.yaml").write_text(
        """
nodes:
  picture: {op: read_image, params: {path: "picture:astronaut"}}
  harder: {op: contrast, inputs: {frames: picture}, params: {contrast: 2}}
  padded: {op: resize, inputs: {frames: picture}, params: {width: 8, height: 8, mode: pad}}
  image: {op: save_images, inputs: {frames: harder}}
outputs: [image]
"""
    )
    assert main(["export", "comfyui", "graph=odd"]) == 2
    said = capsys.readouterr().err
    assert "nodes.harder.op: contrast is not exported" in said
    assert "nodes.padded.params.mode: ComfyUI has no pad; expected stretch or fill" in said
    assert "nodes.image" not in said
