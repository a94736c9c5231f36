"""A checkpoint in one file, as everybody has them: no configuration, no tokenizer, no hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.cli import main
from flowsynth.core.errors import InputError
from flowsynth.models import Model, ModelManager, model_fingerprint, parse_model
from flowsynth.models.diffusion.names import _vae_name, original_name
from flowsynth.models.diffusion.single_file.vocabulary import clip_tokenizer
from flowsynth.models.families.sd.components import described
from tests.models.families.sd.test_loading import open_clip

ROOT = Path(__file__).parents[4]


def networks(version: int) -> dict[str, Any]:
    """The real classes with the architecture's own settings, only narrower and less deep."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    act, heads = ("quick_gelu", 8) if version == 1 else ("gelu", (1, 2))
    unet = UNet2DConditionModel(
        block_out_channels=(64, 128), layers_per_block=2, cross_attention_dim=64, attention_head_dim=heads,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), use_linear_projection=version == 2,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64), down_block_types=("DownEncoderBlock2D",) * 3, layers_per_block=2,
        up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1,
        hidden_act=act,
    ))  # fmt: skip
    return {"unet": unet.eval(), "vae": vae.eval(), "text_encoder": text.eval()}


def checkpoint(version: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A file's tensors, and the networks they are of; `test_loading` holds the names against a table."""
    nets, found = networks(version), {}
    modules = [name.rpartition(".")[0] for name in nets["unet"].state_dict()]
    for name, tensor in nets["unet"].state_dict().items():
        module, _, leaf = name.rpartition(".")
        found[f"model.diffusion_model.{original_name(module, modules)}.{leaf}"] = tensor
    for name, tensor in nets["vae"].state_dict().items():
        module, _, leaf = name.rpartition(".")
        theirs = _vae_name(module, 3)
        is_matrix = "attn_1" in theirs and tensor.ndim == 2
        found[f"first_stage_model.{theirs}.{leaf}"] = tensor[:, :, None, None] if is_matrix else tensor
    text = nets["text_encoder"].state_dict()
    if version == 1:
        stem = "cond_stage_model.transformer.text_model."
        found |= {f"{stem}{name.removeprefix('text_model.')}": tensor for name, tensor in text.items()}
        found[f"{stem}embeddings.position_ids"] = torch.arange(77)[None]
    else:
        plain = {name.removeprefix("text_model."): tensor for name, tensor in text.items()}
        last = {n.replace("layers.1.", "layers.2."): t * 2 for n, t in plain.items() if "layers.1." in n}
        found |= open_clip({**plain, **last}, layers=3)  # the last layer is in the file, and is not used
    return {name: tensor.contiguous() for name, tensor in found.items()}, nets


def load(source: Any, **extra: Any) -> Any:
    return ModelManager(offline=True).load(parse_model("m", {"family": "sd", "source": source, **extra}))


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.sample(1)
@pytest.mark.parametrize("version", [1, 2])
def test_a_plain_file_is_known_by_its_tensors(version: int, tmp_path: Path) -> None:
    tensors, nets = checkpoint(version)
    file = tmp_path / "some.safetensors"
    save_file(tensors, file)
    model = load(str(file), **({"scheduler": {"prediction_type": "v_prediction"}} if version == 2 else {}))
    assert same(model.unet, nets["unet"])
    assert same(model.vae, nets["vae"])
    assert same(model.text_encoder.net, nets["text_encoder"])
    for kind in ("unet", "vae"):
        loaded = {"unet": model.unet, "vae": model.vae}[kind]
        theirs = {k: v for k, v in nets[kind].config.items() if not k.startswith("_") and k != "sample_size"}
        ours = {k: loaded.config[k] for k in theirs}
        for config in (ours, theirs):
            heads = config.get("attention_head_dim")
            config["attention_head_dim"] = tuple(heads) if isinstance(heads, (list, tuple)) else heads
            for name in ("block_out_channels", "down_block_types", "up_block_types"):
                config[name] = tuple(config[name])
        assert ours == theirs
    assert model.text_encoder.net.config.hidden_act == nets["text_encoder"].config.hidden_act
    scheduler = model.scheduler().config
    assert (scheduler.beta_schedule, scheduler.beta_end) == ("scaled_linear", 0.012)
    assert scheduler.prediction_type == ("epsilon" if version == 1 else "v_prediction")
    assert Model(model.spec).latent_format(offline=True).space == "sd/f4c4x0.18215"


def test_what_a_file_of_2_x_predicts_is_asked_for(tmp_path: Path) -> None:
    save_file(checkpoint(2)[0], tmp_path / "two.safetensors")
    with pytest.raises(InputError, match=r"two.safetensors: .*say scheduler: {prediction_type: epsilon}"):
        load(str(tmp_path / "two.safetensors")).scheduler()


UNKNOWN = {
    "conditioner.embedders.1.model.ln_final.weight": "looks like SDXL",
    "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": "looks like Stable Diffusion 3",
    "model.diffusion_model.double_blocks.0.img_attn.qkv.weight": "looks like Flux",
    "lora_unet_conv_in.lora_down.weight": "looks like a LoRA",
    "something.weight": "not those of a checkpoint known here",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_files_ask_for_a_config_and_say_what_they_look_like(name: str, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({name: torch.ones(2, 2)}, file)
    with pytest.raises(
        InputError, match=rf"other.safetensors: a single file needs config: .*{UNKNOWN[name]}"
    ):
        described(file)


def test_the_vocabulary_is_clip_s() -> None:
    tokenizer = clip_tokenizer("<|endoftext|>")
    assert len(tokenizer) == 49408
    ids = tokenizer("a photo of an astronaut riding a horse, Café 42").input_ids
    # As openai/CLIP and every Stable Diffusion folder encode it.
    assert ids[:9] == [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558]
    assert ids[-1] == 49407
    assert tokenizer.decode(ids[1:-1]) == "a photo of an astronaut riding a horse , café 4 2"
    padded = tokenizer("a", padding="max_length").input_ids
    assert (len(padded), padded[-1]) == (77, 49407)
    assert clip_tokenizer("!")("a", padding="max_length").input_ids[-1] == 0


def test_a_run_with_a_plain_file_just_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    save_file(
        {name: tensor.half() for name, tensor in checkpoint(1)[0].items()}, tmp_path / "some.safetensors"
    )
    given = ["graph=text_to_image", "model.source=some.safetensors", "prompt=a red (cat:1.2)", "width=32",
             "height=32", "steps=2", "scale=1"]  # fmt: skip
    assert main(["run", *given]) == 0
    assert list(tmp_path.glob("outputs/**/*.png"))


def test_the_file_s_tensors_and_the_vocabulary_identify_it(tmp_path: Path) -> None:
    tensors, _ = checkpoint(1)
    file = tmp_path / "some.safetensors"
    save_file(tensors, file)
    spec = parse_model("m", {"family": "sd", "source": str(file)})
    before = model_fingerprint(spec)
    tensors["model.diffusion_model.out.2.bias"] += 1
    save_file(tensors, file)
    assert model_fingerprint(spec) != before
