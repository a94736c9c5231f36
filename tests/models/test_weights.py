"""Weights from anywhere: damaged files, pickles that run code, single files, missing hub models."""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flowsynth.core.errors import FlowsynthError, GraphError, InputError
from flowsynth.core.shipped import asset_folder
from flowsynth.fetch.source import Source
from flowsynth.models import Model, ModelManager, model_fingerprint, parse_model
from flowsynth.models.families.sd.model import SdModel
from flowsynth.models.locate import locate
from flowsynth.models.requests import EncodeSettings
from flowsynth.models.weights import check_safetensors, read_weights, weight_files
from tests.models.single_file import single_file
from tests.models.test_manager import noise
from tests.tiny import as_sd, tiny_sd

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_sd() / "base", tmp_path / "model"))


def load(source: Any, **extra: Any) -> SdModel:
    return as_sd(ModelManager().load(parse_model("base", {"family": "sd", "source": source, **extra})))


class Evil:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def pickled(folder: Path, content: Any) -> Path:
    """Replace the UNet's safetensors by a pickled file."""
    file = folder / "unet" / "diffusion_pytorch_model.bin"
    torch.save(content, file)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    return file


def test_pickled_weights_that_hold_only_tensors_are_taken(folder: Path) -> None:
    expected = noise(load(str(folder)).unet)
    pickled(folder, load_file(folder / "unet" / "diffusion_pytorch_model.safetensors"))
    assert torch.allclose(noise(load(str(folder)).unet), expected, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: {"state_dict": {"x": e}}])
def test_a_malicious_pickle_is_refused_and_does_not_run(folder: Path, tmp_path: Path, wrap: Any) -> None:
    marker = tmp_path / "pwned"
    pickled(folder, wrap(Evil(marker)))
    with pytest.raises(InputError, match=r"diffusion_pytorch_model.bin: refused: .*could run code"):
        _ = load(str(folder)).unet
    assert not marker.exists()


def test_a_bare_malicious_pickle_is_refused(tmp_path: Path) -> None:
    marker, file = tmp_path / "pwned", tmp_path / "model.ckpt"
    file.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(InputError, match=r"model.ckpt: "):
        read_weights(file)
    assert not marker.exists()


def test_a_malicious_embedding_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "pwned"
    torch.save(Evil(marker), tmp_path / "style.pt")
    model = load(str(tiny_sd() / "base"), textual_inversion=[{"source": str(tmp_path / "style.pt")}])
    with pytest.raises(InputError, match=r"style.pt: refused"):
        model.text_states(["a cat"])
    assert not marker.exists()


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_named_with_its_sizes(folder: Path, keep: int) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:keep])
    with pytest.raises(InputError, match=r"diffusion_pytorch_model.safetensors: (truncated|not a whole)"):
        _ = load(str(folder)).unet


def test_a_fake_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes((20).to_bytes(8, "little") + b"this is not any json" + bytes(50))
    with pytest.raises(InputError, match="not a safetensors file"):
        check_safetensors(file)


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    pickled(folder, {"conv_in.weight": torch.zeros(3)})
    with pytest.raises(InputError, match=r"lacks \d+ tensors of a UNet2DConditionModel"):
        _ = load(str(folder)).unet


def test_old_names_of_text_encoder_weights_are_taken(folder: Path) -> None:
    expected = load(str(folder)).text_states(["a red cat"])
    file = folder / "text_encoder" / "model.safetensors"
    save_file({f"text_model.{k}": v for k, v in load_file(file).items()}, file, {"format": "pt"})
    assert torch.equal(load(str(folder)).text_states(["a red cat"]), expected)


def test_a_folder_without_weights_says_what_it_found(folder: Path) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"vae: no weights; expected .*found config.json"):
        weight_files(folder / "vae")


def test_a_missing_variant_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"expected diffusion_pytorch_model.fp16.safetensors"):
        weight_files(folder / "unet", "fp16")


def test_a_variant_is_loaded(folder: Path) -> None:
    for part, name in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        (folder / part / f"{name}.safetensors").rename(folder / part / f"{name}.fp16.safetensors")
    model = load({"path": str(folder), "variant": "fp16"})
    assert noise(model.unet).isfinite().all()
    assert model.text_states(["a cat"]).isfinite().all()


def test_a_single_file_checkpoint_gives_the_same_model_as_its_folder(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.safetensors"
    save_file(single_file(folder), file)
    model, expected = load({"file": str(file), "config": str(folder)}), load(str(folder))
    assert torch.equal(model.text_states(["a red cat"]), expected.text_states(["a red cat"]))
    assert torch.allclose(noise(model.unet), noise(expected.unet), atol=1e-5)
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        model.encode_frames(pixels, EncodeSettings()),
        expected.encode_frames(pixels, EncodeSettings()),
        atol=1e-5,
    )
    assert Model(model.spec).latent_format(offline=True).space == "sd/f4c4x0.18215"


def test_a_pickled_single_file_is_taken_and_an_evil_one_refused(folder: Path, tmp_path: Path) -> None:
    file, marker = tmp_path / "all.ckpt", tmp_path / "pwned"
    torch.save({"state_dict": single_file(folder), "global_step": 7}, file)
    source = {"file": str(file), "config": str(folder)}
    assert torch.allclose(noise(load(source).unet), noise(load(str(folder)).unet), atol=1e-5)
    torch.save({"state_dict": single_file(folder), "callbacks": Evil(marker)}, file)
    with pytest.raises(InputError, match=r"all.ckpt: refused"):
        _ = load(source).unet
    assert not marker.exists()


def test_a_single_file_needs_a_local_config(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.safetensors"
    save_file(single_file(folder), file)
    # Its vocabulary is not CLIP's: nothing would say how its prompts are read.
    with pytest.raises(FlowsynthError, match=r"all.safetensors: a single file needs config"):
        load({"file": str(file)}).text_states(["a cat"])


def test_a_single_file_component_in_its_own_names_is_loaded(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "unet.safetensors"
    shutil.copy(folder / "unet" / "diffusion_pytorch_model.safetensors", file)
    model = load({"file": str(file), "config": str(folder)})
    assert torch.allclose(noise(model.unet), noise(load(str(folder)).unet), atol=1e-5)


def test_a_hub_model_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(
        InputError, match=rf"'org/name' at revision {REVISION} .*hf download org/name --revision"
    ):
        locate(Source(hub="org/name", revision=REVISION), offline=True)


def test_a_hub_model_in_the_local_cache_is_loaded_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    root = tiny_sd()
    for name in ("base", "controlnet_tile"):
        shutil.copytree(root / name, tmp_path / f"models--org--{name}" / "snapshots" / REVISION)
    tile = tmp_path / "models--org--controlnet_tile" / "snapshots" / REVISION
    weights = tile / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), tile / "diffusion_pytorch_model.bin")  # as the tile model is published
    weights.unlink()
    hub = {"hub": "org/base", "revision": REVISION}
    nets = {"tile": {"hub": "org/controlnet_tile", "revision": REVISION}}
    given = parse_model("base", {"family": "sd", "source": hub, "controlnets": nets})
    model = as_sd(ModelManager(offline=True).load(given))
    local = load(str(root / "base"))
    assert torch.equal(noise(model.unet), noise(local.unet))
    assert torch.equal(model.text_states(["a cat"]), local.text_states(["a cat"]))
    form = Model(given).latent_format(offline=True)
    assert form == Model(local.spec).latent_format(offline=True)
    assert type(model.controlnet("tile")).__name__ == "ControlNetModel"


def test_a_hub_model_is_identified_without_being_here() -> None:
    spec = parse_model("base", {"family": "sd", "source": {"hub": "org/name", "revision": REVISION}})
    assert model_fingerprint(spec) == model_fingerprint(spec)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"family": "sdd", "source": "x"}, "unknown family; expected diffusers, gan, janus, sd, videogpt"),
        ({"source": "x"}, r"models.base.family: missing"),
        ({"family": "sd"}, r"models.base.source: missing"),
        ({"family": "sd", "source": "x", "lora": []}, r"models.base.lora: unknown key.*did you mean 'loras'"),
        ({"family": "sd", "source": "x", "_target_": "os.system"}, r"models.base._target_: unknown key"),
        ({"family": "sd", "source": "x", "trust_remote_code": True}, "trust_remote_code: unknown key"),
        ({"family": "sd", "source": "x", "custom_pipeline": "y"}, "custom_pipeline: unknown key"),
        (
            {"family": "sd", "source": {"path": "x", "hubb": 1}},
            "hubb: unknown key.*did you mean 'hub'",
        ),
        ({"family": "sd", "source": {"hub": "a/b", "revision": "main"}}, "a commit of 40 hexadecimal digits"),
        ({"family": "sd", "source": {"path": "x", "subfolder": "../.."}}, "must lie inside the source"),
        ({"family": "sd", "source": {}}, "exactly one of path, file and hub; given none"),
        ({"family": "sd", "source": "x", "dtype": "float8"}, "models.base.dtype"),
        (
            {"family": "sd", "source": "x", "scheduler": "eular"},
            "did you mean 'euler'",
        ),
    ],
)
def test_faults_of_a_spec_name_their_path(given: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_model("base", given)


def test_all_faults_of_a_spec_come_at_once() -> None:
    with pytest.raises(GraphError) as caught:
        parse_model("base", {"family": "sd", "dtype": "int8", "clip_skip": -1, "x": 1})
    assert len(caught.value.faults) == 4


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(InputError, match="model folder nowhere/at/all: no such file or folder"):
        load("nowhere/at/all").text_states(["a cat"])


def test_no_folder_takes_the_place_of_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = locate(Source(path="shipped:pocket"))
    for name in ("pocket/controlnet_lines", "shipped:pocket/controlnet_lines"):
        (tmp_path / name).mkdir(parents=True)
    assert locate(Source(path="shipped:pocket")) == shipped == asset_folder("pocket")
    assert locate(Source(path="shipped:pocket/controlnet_lines")) == shipped / "controlnet_lines"
    assert locate(Source(path="pocket")).absolute() == tmp_path / "pocket"


def test_a_shipped_model_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shipped:pockets", "shipped:pictures", "shipped:", "shipped:pocket/../pictures"):
        with pytest.raises(
            InputError, match=rf"^{name}: no such model; expected shipped:o\w+, shipped:pocket"
        ):
            locate(Source(path=name))
    with pytest.raises(InputError, match=r"shipped:pocket/none: no such file or folder"):
        locate(Source(path="shipped:pocket/none"))
    with pytest.raises(InputError, match=r"pocket: no such.*the package ships is shipped:pocket;"):
        locate(Source(path="pocket"))


def test_an_edited_weight_file_changes_the_fingerprint(folder: Path) -> None:
    spec = parse_model("base", {"family": "sd", "source": str(folder)})
    before = model_fingerprint(spec)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert model_fingerprint(spec) != before


def test_the_options_that_a_trainer_keeps_beside_the_weights_are_no_code(tmp_path: Path) -> None:
    held = {"state_dict": {"w": torch.ones(2)}, "hyper_parameters": {"args": argparse.Namespace(heads=4)}}
    torch.save(held, tmp_path / "a.ckpt")
    assert torch.equal(read_weights(tmp_path / "a.ckpt")["w"], torch.ones(2))
