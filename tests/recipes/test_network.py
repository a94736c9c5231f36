"""CONTRIBUTING.md, "Add a network with weights": one new file, and its checkpoints are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.copies import follow, python, recipe

HEADING = "Add a network with weights"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = follow(HEADING, tmp_path_factory.mktemp("network"))
    python(folder, "-c", MAKE)
    return folder


MAKE = """
import torch
from flowsynth.nets.upscaling.espcn import Espcn
torch.manual_seed(0)
torch.save({"params": Espcn(width=8, scale=2).state_dict()}, "espcn.pth")
"""
GRAPH = """
nodes:
  picture: {op: read_image, params: {path: "picture:astronaut", width: 30, height: 20}}
  large:
    op: upscale
    inputs: {frames: picture}
    params: {method: network, weights: WEIGHTS, fidelity: 0, factor: 2}
outputs: [picture, large]
"""


def test_it_is_one_file() -> None:
    assert len(recipe(HEADING)) == 1


def test_a_graph_runs_it_in_tiles_too_through_the_manager(copy: Path) -> None:
    code = f"""
import torch
import flowsynth as fs
from flowsynth.api import Session
from flowsynth.nets.upscaling.espcn import espcn_from_state
from flowsynth.models.manager import unique_bytes
network = espcn_from_state(torch.load("espcn.pth", weights_only=True)["params"])
text = {GRAPH.replace("WEIGHTS", "espcn.pth")!r}
with Session("cache") as session:
    found = [fs.Graph.from_yaml(text.replace("factor: 2", "factor: 2" + tile)).run(session=session)
             for tile in ("", ", tile: 16")]
    session.prepare_managers(["cpu"])
    assert session._managers["cpu"].resident_bytes == unique_bytes([network])
expected = network(found[0]["picture"].to_float()).clamp(0, 1)
for run in found:
    assert (run["large"].to_float() - expected).abs().max() <= 0.51 / 255 + 1e-5
print("done")
"""
    assert "done" in python(copy, "-c", code)


def test_damage_is_named(copy: Path) -> None:
    code = f"""
import torch
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
state = torch.load("espcn.pth", weights_only=True)["params"]
torch.save({{**state, "conv2.bias": state["conv2.bias"][:1]}}, "damaged.pth")
torch.save({{"other": state["conv1.bias"]}}, "other.pth")
for name in ("damaged.pth", "other.pth"):
    try:
        fs.Graph.from_yaml({GRAPH!r}.replace("WEIGHTS", name)).run(cache_dir="cache")
    except FlowsynthError as error:
        print(error)
"""
    told = python(copy, "-c", code)
    assert "damaged.pth: not an ESPCN checkpoint: tensor 'conv2.bias' has shape (1,), expected (4,)" in told
    assert "expected espcn (conv1, conv2 and conv3) or rrdbnet" in told


ENTRY = """
import hashlib, pathlib, shutil, torch, yaml
from flowsynth.weights.tensors import tensors_sha256
data = pathlib.Path("espcn.pth").read_bytes()
tensors = {k: v.numpy() for k, v in torch.load("espcn.pth", weights_only=True)["params"].items()}
entry = {
    "about": "a test", "licence": "none", "network": "espcn", "format": "torch",
    "files": {"espcn.pth": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}},
    "sources": [{"path": str(pathlib.Path.cwd())}],
    "size": sum(a.nbytes for a in tensors.values()), "tensors_sha256": tensors_sha256(tensors),
}
conf = pathlib.Path("conf")
real = conf.resolve()
conf.unlink()
shutil.copytree(real, conf)
with (conf / "weights.yaml").open("a") as catalogue:
    catalogue.write(yaml.safe_dump({"espcn-test": entry}))
"""


def test_an_entry_of_the_catalogue_fetches_it_by_name(copy: Path) -> None:
    python(copy, "-c", ENTRY)
    code = f"""
import flowsynth as fs
runs = [fs.Graph.from_yaml({GRAPH!r}.replace("WEIGHTS", name)).run(cache_dir="cache")
        for name in ("espcn.pth", "espcn-test")]
assert (runs[0]["large"].tensor == runs[1]["large"].tensor).all()
print(runs[1].record.nodes["large"].status)
"""
    assert python(copy, "-c", code).strip() == "computed"
    assert "espcn-test: sound" in python(
        copy, "-m", "flowsynth", "weights", "verify", "cache.dir=cache", "espcn-test"
    )
