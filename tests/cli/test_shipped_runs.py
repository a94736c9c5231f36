"""Every shipped graph, run whole through the command line on a real clip and a tiny real model."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from flowsynth.cli import main
from flowsynth.core.record import RunRecord, json_schema
from tests.cli.conftest import Cli, assert_quick
from tests.operators.media_files import write_clip
from tests.tiny import tiny_sd

MODEL, CLIP = "model=tiny", "input.video=clip.mkv"
#: what each graph is run with
SMALL = {
    "image_to_image": [MODEL, "width=32", "height=32", "steps=2", "strength=0.5"],
    "interpolate_video": [CLIP, "frames=6", "width=48", "height=32"],
    "long_video": [MODEL, CLIP, "width=32", "height=32", "steps=2", "strength=0.5", "window=4", "stride=2"],
    "story_video": [MODEL, "frames=3", "width=32", "height=32", "steps=1", "scale=2", "rate=1"],
    "stylize_video": [CLIP, "frames=6", "width=48", "height=32", "style=watercolor"],
    "text_to_image": [MODEL, "width=32", "height=32", "steps=2"],
    "text_to_video": [MODEL, "frames=6", "width=32", "height=32", "steps=2", "scale=4"],
    "toon": [MODEL, CLIP, "frames=6", "width=32", "height=32", "steps=2", "strength=0.5"],
    "toon_edit": [
        "model=still", "model@graph.models.edit=still", CLIP, "frames=4", "width=32", "height=32", "steps=2",
        "edit_steps=2", "window=3", "stride=2",
    ],
    "upscale_video": [CLIP, "frames=6", "width=48", "height=32"],
    "vid2vid": ["model=still", CLIP, "frames=4", "width=32", "height=32", "steps=2", "strength=0.5"],
}  # fmt: skip
TOON = ["run", "graph=toon", "cache.dir=c", "cache.keep=all", *SMALL["toon"]]
#: frames and size that come out
MADE = {
    "interpolate_video": (12, 48, 32),
    "story_video": (9, 64, 64),
    "stylize_video": (6, 48, 32),
    "text_to_video": (12, 128, 128),
    "toon": (6, 32, 32),
    "toon_edit": (4, 32, 32),
    "upscale_video": (6, 96, 64),
    "vid2vid": (4, 32, 32),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 12 frames, a tiny model of every part, and a cache `c` in which `toon` has run."""
    home = tmp_path_factory.mktemp("studio")
    write_clip(home / "clip.mkv", 12)
    root = tiny_sd()
    model = {
        "family": "sd",
        "source": str(root / "base"),
        "controlnets": {name: str(root / f"controlnet_{name}") for name in ("lines", "tile")},
        "motion": str(root / "motion_adapter"),
    }
    folder = home / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "tiny.yaml").write_text(json.dumps(model))
    (folder / "still.yaml").write_text(json.dumps({**model, "motion": None}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        assert main([*TOON, "-q"]) == 0
    return home


@pytest.fixture
def studio(home: Path, prepared: Path) -> Path:
    """The current folder, with a copy of all that is prepared."""
    shutil.copytree(prepared, home, dirs_exist_ok=True)
    return home


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_shipped_graph_runs_and_its_record_keeps_the_contract(cli: Cli, studio: Path, name: str) -> None:
    argv = [f"graph={name}", "cache.dir=cold", "offline=true", *SMALL[name]]
    code, out, err = cli("run", *argv, "output_dir=o")
    assert code == 0, err
    path = Path(out.splitlines()[-1])
    assert path.is_file()
    record = json.loads(Path("o/run.json").read_text())
    jsonschema.validate(record, json_schema(RunRecord))
    assert {node["status"] for node in record["nodes"].values()} == {"computed"}
    assert record["peak_rss_bytes"] > 10**7
    assert list(record["outputs"].values()) == [str(path.relative_to("o"))]
    if name in MADE:
        assert shape_of(path) == MADE[name]
    plan = json.loads(cli("plan", *argv, "--json")[1])
    assert {node["status"] for node in plan["nodes"].values()} == {"hit"}


def shape_of(path: Path) -> tuple[int, int, int]:
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return len(frames), frames[0].width, frames[0].height


def test_a_new_guidance_scale_runs_what_lies_below_denoise_and_nothing_else(cli: Cli, studio: Path) -> None:
    out = cli(*TOON, "graph.nodes.denoise.params.guidance_scale=2.5", "--json")[1]
    nodes = json.loads(out)["nodes"]
    computed = {name for name, node in nodes.items() if node["status"] == "computed"}
    finish = {"finish/smooth", "finish/upscale", "finish/interpolate", "video"}
    below = {"denoise", "decode", "lay", *finish}
    assert computed == below
    # The tiny model is trusted with whole pictures, as a real one: nothing asks what its autoencoder changed.
    above = {"clip", "guide", "small", "coarse", "controls/lines", "controls/tile", "latents", "prompt"}
    assert set(nodes) - below == above


def test_a_video_is_reproduced_bit_for_bit(cli: Cli, studio: Path) -> None:
    out = cli(*TOON, "output_dir=o")[1]
    code, text, err = cli("reproduce", out.splitlines()[-1], "-q")
    assert code == 0, text + err
    assert "agrees bit for bit" in text


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            [
                "graph.models.other={family: sd, source: nowhere}",
                "graph.nodes.decode.inputs.model=models.other",
            ],
            ["nowhere"],
        ),
        (["model.source=nowhere"], ["models.base", "nowhere", "no such"]),
        (["model.family=sdd"], ["family", "sdd", "did you mean 'sd'"]),
        (["model.sorce=x"], ["models.base.sorce", "did you mean 'source'"]),
        (
            ["graph.nodes.denoise.params.controlnets=[lines,tiles]"],
            ["controlnets", "tiles", "did you mean 'tile'"],
        ),
        (
            ["graph.nodes.denoise.inputs.control=controls.lines"],
            ["inputs.control", "expected 2 (lines, tile)"],
        ),
        (
            ["graph.nodes.decode.inputs.latents=clip"],
            ["nodes.decode.inputs.latents", "expected Latents", "given Frames"],
        ),
        (["graph.nodes.denoise.inputs.model=prompt"], ["nodes.denoise.inputs.model", "a model"]),
        (["graph.nodes.denoise.params.scheduler=dimm"], ["scheduler", "dimm", "ddim"]),
        (["graph.nodes.denoise.params.stride=32"], ["nodes.denoise.params.stride", "at most 16", "given 32"]),
    ],
)
def test_mistakes_about_models_are_one_message(
    cli: Cli, studio: Path, overrides: list[str], words: list[str]
) -> None:
    code, _, err = cli(*TOON, "-q", *overrides)
    assert code in (1, 2)
    assert err.count("flowsynth: ") == 1
    assert "Traceback" not in err
    assert not [word for word in words if word not in err], err


def test_validate_knows_families_and_their_keys(cli: Cli, studio: Path) -> None:
    assert cli("validate", "graph=toon", "model=tiny")[0] == 0
    code, _, err = cli("validate", "graph=text_to_image", "model=tiny", "model.family=sdd")
    assert code == 2
    assert "models.base.family" in err
    assert "did you mean 'sd'" in err


def test_pickled_weights_are_refused(cli: Cli, studio: Path) -> None:
    import pickle

    broken = studio / "broken"
    shutil.copytree(tiny_sd() / "base", broken)
    victim = next((broken / "vae").glob("*.safetensors"))
    victim.unlink()
    (broken / "vae" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weight": print}))
    code, _, err = cli(*TOON, "model.source=broken", "-q")
    assert code in (1, 2)
    assert "diffusion_pytorch_model.bin" in err
    assert "Traceback" not in err


def test_a_cached_toon_imports_no_torch_and_is_quick(cli: Cli, studio: Path) -> None:
    script = (
        "import sys\nfrom flowsynth.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'rich', 'networkx')\n"
        "print('IMPORTED', [m for m in heavy if m in sys.modules])\nsys.exit(code)"
    )
    done = assert_quick(["-c", script, *TOON])
    assert "IMPORTED []" in done.stdout
    assert "all 15 nodes from the cache" in done.stderr
