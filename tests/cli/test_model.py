"""``flowsynth model``: what a model can do, without loading it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowsynth.config.folders import shipped_folders
from tests.cli.conftest import Cli

INDEX = {
    "_class_name": "WanImageToVideoPipeline",
    "vae": ["diffusers", "AutoencoderKLWan"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
}


def test_a_shipped_model(cli: Cli) -> None:
    text = cli("model", "pocket")[1]
    assert "family    sd" in text
    assert "options.clip_skip: integer" in text


def test_a_model_that_builds_on_another(cli: Cli) -> None:
    code, text, error = cli("model", "pocket_motion")
    assert code == 0, error
    assert "source    shipped:pocket" in text


MODELS = shipped_folders().conf / "model"


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", sorted(path.stem for path in MODELS.glob("*.yaml")))
def test_every_shipped_model_has_a_page(cli: Cli, name: str) -> None:
    code, text, error = cli("model", name)
    if "???" in (MODELS / f"{name}.yaml").read_text():
        assert (code, text) == (2, "")
        assert "says no source" in error or "needs revision: a commit" in error
    else:
        assert code == 0, error
        assert text.startswith("family ")


def test_the_folder_of_a_pipeline(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "wan"
    configs = {
        "vae": {"z_dim": 16, "temperal_downsample": [0, 1, 1]},
        "transformer": {"patch_size": [1, 2, 2]},
    }
    for name, config in configs.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text(json.dumps(INDEX))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    text = cli("model", str(folder))[1]
    assert "class     WanImageToVideoPipeline" in text
    assert "licence   apache-2.0" in text
    assert "multiples of 16 pixels" in text
    assert "4 k + 1" in text
    assert "image (needed)" in text
    data = json.loads(cli("model", str(folder), "--json")[1])
    assert data["options"]["denoise"]["guidance_scale_2"]["default"] is None


@pytest.mark.parametrize("name", ["flux_dev", "sd15"])
def test_one_that_is_not_fetched_says_so_in_a_line_and_what_its_class_alone_tells(
    cli: Cli, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    code, text, error = cli("model", name)
    assert (code, error) == (0, "")
    missing = [line for line in text.splitlines() if "not on this machine" in line]
    assert len(missing) == 1
    assert missing[0].startswith("missing   ")
    assert "by: hf download " in missing[0]
    assert max(map(len, text.partition("text_encode")[0].splitlines())) < 400
    assert "Error" not in text
    assert "GB in" in text.splitlines()[2], "what its configuration says of it"
    if name == "flux_dev":
        assert "class     FluxPipeline" in text
        assert "port      image_prompt" in text
        assert "options.true_cfg_scale: number | null = 1.0" in text
    data = json.loads(cli("model", name, "--json")[1])
    assert data["sizes"] is None
    assert data["missing"] in missing[0]


def test_what_is_missing_of_a_folder_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    text = cli("model", str(tmp_path))[1]
    assert "class     WanImageToVideoPipeline" in text
    assert f"missing   {tmp_path}/vae/config.json: cannot be read" in text


def test_a_wrong_name_says_the_nearest(cli: Cli) -> None:
    code, _, error = cli("model", "pokket")
    assert code == 2
    assert "did you mean 'pocket'?" in error
