"""A checkpoint of SDXL in one file, as everybody has them: known by its tensors, run by its own pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.core.errors import FlowsynthError, InputError
from flowsynth.models import Model, model_fingerprint, parse_model
from flowsynth.models.diffusion.single_file.known import checkpoint_of
from flowsynth.models.families.diffusers.family import Diffusers
from tests.models.families.diffusers.call import SEED, graph_of
from tests.models.families.diffusers.checkpoints import (
    unet_tensors,
    vae_tensors,
    write,
    xl_networks,
    xl_pipeline,
    xl_tensors,
)
from tests.models.families.diffusers.zoo.case import Case

ROOT = Path(__file__).parents[4]
TEXT = {"prompt": "a red cat", "negative_prompt": "blue"}
CASE = Case(build=lambda: None, text=TEXT, size={"height": 64, "width": 64})


@pytest.fixture(scope="module")
def nets() -> dict[str, Any]:
    return xl_networks()


def by_hand(pipe: Any) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        **TEXT, height=64, width=64, num_inference_steps=2, output_type="np",
        generator=torch.Generator().manual_seed(SEED),
    )  # fmt: skip
    return torch.as_tensor(made.images).movedim(-1, 1)


def through(file: Path, tmp_path: Path, **spec: Any) -> torch.Tensor:
    run = graph_of(CASE, file, **spec).run(cache_dir=tmp_path / "cache", outputs=["frames"])
    tensor: torch.Tensor = run["frames"].tensor
    return tensor


def test_the_names_are_those_that_diffusers_converts(nets: dict[str, Any]) -> None:
    """What the other tests write is not only what our own reader takes: the library's takes it, too."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    tensors = {**unet_tensors(nets["unet"]), **vae_tensors(nets["vae"])}
    for name, convert in (("unet", convert_ldm_unet_checkpoint), ("vae", convert_ldm_vae_checkpoint)):
        own = nets[name].state_dict()
        found = convert(dict(tensors), dict(nets[name].config))
        assert own.keys() == found.keys()
        assert all(torch.equal(own[key], found[key].reshape(own[key].shape)) for key in own)


def test_a_plain_file_gives_what_its_own_pipeline_gives(nets: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path, xl_tensors(nets))
    assert torch.equal(through(file, tmp_path), by_hand(xl_pipeline(nets)))


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("marks", "scheduler"),
    [
        (["v_pred"], {"prediction_type": "v_prediction"}),
        (
            ["v_pred", "ztsnr"],
            {
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
                "timestep_spacing": "trailing",
                "steps_offset": 0,
            },
        ),
    ],
)
def test_a_file_s_marks_say_what_its_network_predicts(
    nets: dict[str, Any], tmp_path: Path, marks: list[str], scheduler: dict[str, Any]
) -> None:
    file = write(tmp_path, xl_tensors(nets) | {mark: torch.zeros(0) for mark in marks})
    assert torch.equal(through(file, tmp_path), by_hand(xl_pipeline(nets, **scheduler)))


def test_a_network_of_another_file_takes_a_part_s_place(nets: dict[str, Any], tmp_path: Path) -> None:
    """The VAE that people publish alone, in the original names without a prefix."""
    from diffusers import AutoencoderKL

    torch.manual_seed(7)
    other = AutoencoderKL.from_config(nets["vae"].config).eval()
    file = write(tmp_path, xl_tensors(nets))
    alone = write(tmp_path, vae_tensors(other, prefix=""), "vae.safetensors")
    made = through(file, tmp_path, components={"vae": str(alone)})
    assert torch.equal(made, by_hand(xl_pipeline({**nets, "vae": other})))


KINDS = {
    (4, False): ("SDXL", "StableDiffusionXLPipeline"),
    (9, False): ("SDXL for inpainting", "StableDiffusionXLInpaintPipeline"),
    (8, False): ("SDXL for instructions", "StableDiffusionXLInstructPix2PixPipeline"),
    (4, True): ("SDXL's refiner", "StableDiffusionXLImg2ImgPipeline"),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize(("channels", "refiner"), KINDS)
def test_every_kind_of_xl_is_told_apart_and_described(channels: int, refiner: bool, tmp_path: Path) -> None:
    made = xl_networks(channels, refiner=refiner)
    file = write(tmp_path, xl_tensors(made, torch.float16))
    found = checkpoint_of(file)
    assert (found.kind, found.pipeline) == KINDS[channels, refiner]
    spec = parse_model("m", {"family": "diffusers", "source": str(file)})
    for name, net in made.items():
        part = spec.part(name)  # type: ignore[attr-defined]
        loaded = part.loader(type(net), torch.float32, "cpu")()
        own = net.state_dict()
        assert loaded.state_dict().keys() == own.keys()
        assert all(torch.equal(own[key].half().float(), loaded.state_dict()[key]) for key in own)
    form = Model(spec).latent_format(offline=True)
    assert (form.factor, form.channels) == (4, 4)


def test_family_sd_says_which_family_runs_a_file(nets: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path, xl_tensors(nets, torch.float16))
    with pytest.raises(FlowsynthError, match="a checkpoint of SDXL, which family diffusers runs"):
        Model(parse_model("m", {"family": "sd", "source": str(file)})).latent_format(offline=True)


FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
REFUSED = {
    FLUX: "looks like Flux's transformer, which is no whole pipeline: .*components: {transformer: ",
    "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": "Stable Diffusion 3's transformer",
    "head.modulation": "Wan's transformer",
    "something.weight": "not those of a checkpoint known here",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_whole_pipeline_says_what_is_missing(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, {name: torch.ones(2, 2)})
    spec = parse_model("m", {"family": "diffusers", "source": str(file)})
    with pytest.raises(InputError, match=REFUSED[name]):
        model_fingerprint(spec)


def test_a_mark_of_another_noise_is_refused(nets: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path, xl_tensors(nets, torch.float16) | {"edm_mean": torch.zeros(4)})
    with pytest.raises(InputError, match="trained on another noise"):
        checkpoint_of(file)


def test_a_missing_and_a_strange_tensor_are_named(nets: dict[str, Any], tmp_path: Path) -> None:
    tensors = xl_tensors(nets, torch.float16)
    gone = "conditioner.embedders.1.model.text_projection"
    projection = tensors.pop(gone)
    with pytest.raises(InputError, match="text_projection"):
        checkpoint_of(write(tmp_path, tensors))
    tensors[gone] = projection
    kept = tensors.pop("model.diffusion_model.label_emb.0.2.bias")
    spec = parse_model("m", {"family": "diffusers", "source": str(write(tmp_path, tensors, "b.safetensors"))})
    load = spec.part("unet").loader(type(nets["unet"]), torch.float32, "cpu")  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"b.safetensors: lacks 1 tensors .*add_embedding.linear_2.bias"):
        load()
    tensors["model.diffusion_model.label_emb.0.2.bias"] = kept
    tensors["model.diffusion_model.extra.weight"] = kept.clone()
    spec = parse_model("m", {"family": "diffusers", "source": str(write(tmp_path, tensors, "c.safetensors"))})
    load = spec.part("unet").loader(type(nets["unet"]), torch.float32, "cpu")  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"c.safetensors: holds more .*extra.weight"):
        load()


def test_a_file_s_content_identifies_its_parts(nets: dict[str, Any], tmp_path: Path) -> None:
    tensors = xl_tensors(nets, torch.float16)
    spec = parse_model("m", {"family": "diffusers", "source": str(write(tmp_path, tensors))})
    before = model_fingerprint(spec)
    assert before == model_fingerprint(spec)
    tensors["first_stage_model.quant_conv.bias"] += 1
    write(tmp_path, tensors)
    assert model_fingerprint(spec) != before
    assert Diffusers().fingerprint(spec, None, ("text",)) != ""  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_with_a_plain_file_just_works(nets: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, xl_tensors(nets, torch.float16))
    given = ["graph=text_to_image", "model=pipeline", "model.source=some.safetensors", "prompt=a cat",
             "width=32", "height=32", "steps=2", "scale=1"]  # fmt: skip
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FLOWSYNTH_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "flowsynth", "run", *given]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("outputs/**/*.png"))


#: Names of Wan's published transformers -> diffusers' own.
_WAN = {
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "cross_attn": "attn2", "self_attn": "attn1", ".o.": ".to_out.0.", ".q.": ".to_q.", ".k.": ".to_k.",
    ".v.": ".to_v.", "head.head": "proj_out", "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2",
}  # fmt: skip


def wan_name(name: str) -> str:
    for theirs, ours in _WAN.items():
        name = name.replace(ours, theirs)
    name = name.replace("norm2", "norm_").replace("norm3", "norm2").replace("norm_.", "norm3.")
    name = "head.modulation" if name == "scale_shift_table" else name
    return "model.diffusion_model." + name.replace("scale_shift_table", "modulation")


def test_a_transformer_in_its_publisher_s_names_is_converted(tmp_path: Path) -> None:
    """Wan's, as ComfyUI's users have it: described by the part whose place it takes."""
    from diffusers import WanTransformer3DModel

    from tests.models.families.diffusers.zoo import clips  # noqa: F401  registers the cases
    from tests.models.families.diffusers.zoo.case import CASES

    pipe = CASES["WanPipeline"].build()
    pipe.save_pretrained(tmp_path / "wan")
    torch.manual_seed(5)
    other = WanTransformer3DModel.from_config(pipe.transformer.config).eval()
    file = write(tmp_path, {wan_name(name): tensor for name, tensor in other.state_dict().items()})
    spec = parse_model(
        "m",
        {"family": "diffusers", "source": str(tmp_path / "wan"), "components": {"transformer": str(file)}},
    )
    loaded = spec.part("transformer").loader(WanTransformer3DModel, torch.float32, "cpu")()  # type: ignore[attr-defined]
    own = other.state_dict()
    assert loaded.state_dict().keys() == own.keys()
    assert all(torch.equal(own[name], loaded.state_dict()[name]) for name in own)
