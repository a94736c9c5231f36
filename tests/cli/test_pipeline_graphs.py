"""The shipped graphs for any model that can, run whole through the command line on tiny pipelines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.conftest import Cli
from tests.models.families.diffusers.call import build
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES
from tests.operators.media_files import write_clip

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]

SQUARE = ["width=32", "height=32", "steps=2"]
SMALL = ["width=16", "height=16", "frames=9", "fps=8", "steps=2"]
#: Graph and class -> what it is run with.
RUNS: dict[tuple[str, str], list[str]] = {
    ("inpaint", "StableDiffusionInpaintPipeline"): ["mask=mask.png", "feather=0", *SQUARE],
    ("edit_image", "StableDiffusionInstructPix2PixPipeline"): [
        "+options.image_guidance_scale=1.2",
        *SQUARE,
    ],
    ("image_to_video", "WanImageToVideoPipeline"): ["window=5", *SMALL],
    ("image_to_video", "StableVideoDiffusionPipeline"): ["width=32", "height=32", "frames=3", "steps=2"],
    ("video_to_video", "WanVideoToVideoPipeline"): ["input.video=clip.mkv", "strength=0.5", *SMALL, "fps=24"],
}


@pytest.mark.sample(2)
@pytest.mark.parametrize(("graph", "name"), RUNS)
def test_a_graph_runs_with_a_model_that_can(cli: Cli, home: Path, graph: str, name: str) -> None:
    torch.manual_seed(0)
    build(CASES[name], home / "model")
    write_clip(home / "clip.mkv", 12)
    Image.new("L", (64, 64)).save(home / "black.png")
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    half.save(home / "mask.png")
    (home / "conf" / "model").mkdir(parents=True)
    model = {"family": "diffusers", "source": str(home / "model")}
    (home / "conf" / "model" / "tiny.yaml").write_text(json.dumps(model))
    argv = [f"graph={graph}", "model=tiny", "offline=true", "cache.dir=c", *RUNS[graph, name]]
    code, out, err = cli("run", *argv, "output_dir=o")
    assert code == 0, err
    assert Path(out.splitlines()[-1]).is_file()
    plan = json.loads(cli("plan", *argv, "--json")[1])
    assert {node["status"] for node in plan["nodes"].values()} == {"hit"}
    if graph == "inpaint":
        _keeps_what_the_mask_leaves_black(cli, home, argv)


def _keeps_what_the_mask_leaves_black(cli: Cli, home: Path, argv: list[str]) -> None:
    """With nothing white in the mask the picture comes back as it was."""
    code, out, err = cli("run", *argv, "mask=black.png", "output_dir=p")
    assert code == 0, err
    whole = Image.open(out.splitlines()[-1])
    code, out, err = cli("run", *argv, "output_dir=q")
    assert code == 0, err
    part = Image.open(out.splitlines()[-1])
    right = (20, 0, 32, 32)
    assert whole.crop(right).tobytes() == part.crop(right).tobytes()
    assert whole.tobytes() != part.tobytes()


def test_a_model_that_cannot_is_told_with_what_it_takes(cli: Cli, home: Path) -> None:
    code, _, err = cli("validate", "graph=inpaint", "model=flux_schnell")
    assert code == 2
    assert "inputs.mask: no use for it" in err
    assert "FluxPipeline" in err
    code, _, err = cli("validate", "graph=image_to_video", "model=svd", "prompt=a boat")
    assert code == 2
    assert "params.prompt: no use for it" in err


def _stored(folder: Path, *parts: str) -> int:
    """Bytes of the tensors of some parts, as they were saved: in float32."""
    from safetensors.torch import load_file

    files = [file for part in parts for file in (folder / part).glob("*.safetensors")]
    return sum(tensor.nbytes for file in files for tensor in load_file(file).values())


def test_a_plan_says_the_weights_that_a_device_holds(cli: Cli, home: Path) -> None:
    folder = home / "model"
    build(CASES["FluxPipeline"], folder)
    given = ["graph=text_to_image", "model=pipeline", "model.source=model", "width=32", "height=32"]
    given += ["model.dtype=float32", "cache.dir=c"]

    def held(*lines: str) -> dict[str, int | None]:
        nodes = json.loads(cli("plan", *given, *lines, "--json")[1])["nodes"]
        return {name: node["weight_bytes"] for name, node in nodes.items()}

    vae, network = _stored(folder, "vae"), _stored(folder, "transformer")
    plain = held()
    assert plain["prompt"] == _stored(folder, "text_encoder", "text_encoder_2")
    assert plain["denoise"] == network + vae
    assert plain["decode"] == vae
    assert plain["image"] is None
    assert held("+model.storage=float8")["denoise"] == network // 4 + vae
    away = held("+model.offload=group")
    assert (away["prompt"], away["denoise"]) == (None, vae)
    assert "cpu: weights of" in cli("plan", *given)[1]
