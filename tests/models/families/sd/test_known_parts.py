"""A VAE or a ControlNet in one file, as ComfyUI's folders hold them: no configuration beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.core.errors import InputError
from flowsynth.models import Model
from flowsynth.models.diffusion.names import _control_name, original_name
from tests.models.families.sd.test_known import checkpoint, load, networks, same


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts")
    tensors, _ = checkpoint(1)
    save_file(tensors, root / "all.safetensors")
    stem = "first_stage_model."
    vae = {name.removeprefix(stem): t * 2 for name, t in tensors.items() if name.startswith(stem)}
    save_file(vae, root / "vae.safetensors")
    save_file({f"{stem}{name}": t for name, t in vae.items()}, root / "vae_behind_a_prefix.safetensors")
    save_file(control_tensors(), root / "control.safetensors")
    return root


def control_tensors() -> dict[str, torch.Tensor]:
    """A ControlNet's tensors in the original names."""
    net = control()
    modules = [name.rpartition(".")[0] for name in net.state_dict()]
    named = {}
    for name, tensor in net.state_dict().items():
        module, _, leaf = name.rpartition(".")
        theirs = _control_name(module, modules) or original_name(module, modules)
        named[f"control_model.{theirs}.{leaf}"] = tensor.contiguous()
    return named


def control() -> Any:
    from diffusers import ControlNetModel

    torch.manual_seed(1)
    unet = networks(1)["unet"]
    made: Any = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 16))
    return made.eval()


def test_a_vae_alone_is_known_by_its_tensors(files: Path) -> None:
    plain = load(str(files / "all.safetensors"))
    for name in ("vae", "vae_behind_a_prefix"):
        model = load(str(files / "all.safetensors"), vae=str(files / f"{name}.safetensors"))
        own, theirs = model.vae.state_dict(), plain.vae.state_dict()
        assert all(torch.equal(own[key], theirs[key] * 2) for key in theirs)
        assert Model(model.spec).latent_format(offline=True).space == "sd/f4c4x0.18215"


def test_a_controlnet_alone_is_known_by_its_tensors(files: Path) -> None:
    control_file = str(files / "control.safetensors")
    model = load(str(files / "all.safetensors"), controlnets={"lines": control_file})
    net = model.controlnet("lines")
    assert same(net, control())
    ours, theirs = net.config, control().config
    for name in ("attention_head_dim", "layers_per_block", "cross_attention_dim", "conditioning_channels"):
        assert ours[name] == theirs[name], name


def test_what_is_neither_says_what_it_looks_like(files: Path, tmp_path: Path) -> None:
    save_file({"lora_unet_conv_in.lora_down.weight": torch.ones(2, 2)}, tmp_path / "other.safetensors")
    for extra in ({"vae": "other.safetensors"}, {"controlnets": {"a": "other.safetensors"}}):
        place = {
            key: {k: str(tmp_path / v) for k, v in value.items()}
            if isinstance(value, dict)
            else str(tmp_path / value)
            for key, value in extra.items()
        }
        model = load(str(files / "all.safetensors"), **place)
        with pytest.raises(InputError, match=r"a single file needs config: .*looks like a LoRA"):
            _ = model.vae if "vae" in extra else model.controlnet("a")
