"""LoRAs on any pipeline: what their folded weights give, under every name, or a refusal with their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.parts import class_of, network_loader
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.parse import parse_model
from tests.models.diffusion.lora_layouts import LAYOUTS, example
from tests.models.families.diffusers.call import build, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]

Tensors = dict[str, torch.Tensor]
CLIP = ("text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc1")
#: Class -> layers of the parts that an adapter changes.
LAYERS: dict[str, dict[str, tuple[str, ...]]] = {
    "StableDiffusionXLPipeline": {
        "unet": (
            "mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "conv_in", "time_embedding.linear_1",
            "mid_block.resnets.0.conv1",
        ),
        "text_encoder": CLIP,
        "text_encoder_2": CLIP,
    },
    "FluxPipeline": {
        "transformer": (
            "transformer_blocks.0.attn.to_q", "transformer_blocks.0.attn.add_k_proj",
            "single_transformer_blocks.0.proj_mlp", "x_embedder",
        ),
        "text_encoder": CLIP,
    },
    "WanPipeline": {
        "transformer": ("blocks.0.attn1.to_q", "blocks.1.ffn.net.0.proj", "blocks.1.attn2.to_out.0"),
    },
    "AnimateDiffPipeline": {"unet": ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "conv_in")},
    "HunyuanVideoPipeline": {"transformer": ("transformer_blocks.0.attn.to_q", "proj_out")},
    "QwenImagePipeline": {"transformer": ("transformer_blocks.0.attn.to_q", "txt_in")},
    "LTXPipeline": {"transformer": ("transformer_blocks.0.attn1.to_q", "proj_in")},
}  # fmt: skip
QUICK = ("StableDiffusionXLPipeline", "FluxPipeline", "WanPipeline")


def part_of(folder: Path, name: str) -> Any:
    spec = parse_model("m", {"family": "diffusers", "source": str(folder)})
    assert isinstance(spec, DiffusersSpec)
    library, kind = spec.index()[name]
    return network_loader(class_of(library, kind), folder / name, None, torch.float32, "cpu")()


def latents(name: str, folder: Path, cache: Path, **spec: Any) -> torch.Tensor:
    graph = graph_of(CASES[name], folder, **spec)
    made: torch.Tensor = graph.run(cache_dir=cache, outputs=["denoise"])["denoise"].tensor
    return made


def fold(folder: Path, into: Path, parts: Mapping[str, Any]) -> None:
    """A copy of a pipeline with other parts."""
    import shutil

    shutil.copytree(folder, into)
    for name, net in parts.items():
        net.save_pretrained(into / name)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LAYERS]
)
def test_an_adapter_acts_as_its_folded_weights_on_every_part(name: str, tmp_path: Path) -> None:
    folder, cache = tmp_path / "model", tmp_path / "cache"
    build(CASES[name], folder)
    tensors: Tensors = {}
    folded = {}
    for part, layers in LAYERS[name].items():
        made = example(part_of(folder, part), part, layers, LAYOUTS["diffusers"])
        tensors |= made.tensors
        folded[part] = made.folded
    save_file(tensors, tmp_path / "lora.safetensors")
    fold(folder, tmp_path / "folded", folded)
    lora = {"source": str(tmp_path / "lora.safetensors")}
    plain = latents(name, folder, cache)
    expected = latents(name, tmp_path / "folded", cache)
    given = latents(name, folder, cache, loras=[lora])
    assert (expected - plain).abs().max() > 0.02, "the update is seen"
    torch.testing.assert_close(given, expected, atol=3e-4, rtol=1e-3)
    assert torch.equal(latents(name, folder, cache, loras=[{**lora, "scale": 0.0}]), plain)
    halves = latents(name, folder, cache, loras=[{**lora, "scale": 0.5}] * 2)
    torch.testing.assert_close(halves, expected, atol=3e-4, rtol=1e-3)


def factors(rows: int, columns: int, seed: int, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(rank, columns, generator=generator) / math.sqrt(columns)
    return down, torch.randn(rows, rank, generator=generator)


def kohya_flux() -> tuple[Tensors, dict[str, torch.Tensor]]:
    """A file of kohya's scripts: one adapter on three projections that diffusers keeps apart."""
    down, up = factors(96, 32, 0)
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    tensors = {
        f"{stem}.lora_down.weight": down,
        f"{stem}.lora_up.weight": up,
        f"{stem}.alpha": torch.tensor(1.0),
    }
    update = (up @ down) / 2
    names = (f"transformer_blocks.0.attn.to_{x}" for x in "qkv")
    return tensors, dict(zip(names, update.chunk(3), strict=True))


def original_wan() -> tuple[Tensors, dict[str, torch.Tensor]]:
    """A file under the names of Wan's own code, as ComfyUI takes it."""
    down, up = factors(24, 24, 1)
    stem = "diffusion_model.blocks.1.self_attn.k"
    return {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}, {"blocks.1.attn1.to_k": up @ down}


@pytest.mark.sample(1)
@pytest.mark.parametrize(("name", "made"), [("FluxPipeline", kohya_flux), ("WanPipeline", original_wan)])
def test_names_of_the_published_code_are_converted_with_their_alphas(
    name: str, made: Any, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "model", tmp_path / "cache"
    build(CASES[name], folder)
    tensors, updates = made()
    save_file({k: v.clone() for k, v in tensors.items()}, tmp_path / "lora.safetensors")
    net = part_of(folder, "transformer")
    for layer, update in updates.items():
        net.get_submodule(layer).weight.data += update
    fold(folder, tmp_path / "folded", {"transformer": net})
    given = latents(name, folder, cache, loras=[{"source": str(tmp_path / "lora.safetensors")}])
    torch.testing.assert_close(given, latents(name, tmp_path / "folded", cache), atol=3e-4, rtol=1e-3)
    assert (given - latents(name, folder, cache)).abs().max() > 0.005


def test_what_has_no_place_is_refused_with_its_names(tmp_path: Path) -> None:
    folder, file = tmp_path / "model", tmp_path / "lora.safetensors"
    build(CASES["FluxPipeline"], folder)
    down, up = factors(32, 32, 2)
    good = {"transformer.transformer_blocks.0.attn.to_q.lora_A.weight": down}
    good["transformer.transformer_blocks.0.attn.to_q.lora_B.weight"] = up
    other = "transformer.blocks.7.attn1.to_q"
    bad: dict[str, tuple[Tensors, str]] = {
        "another model": (
            {f"{other}.lora_A.weight": down, f"{other}.lora_B.weight": up},
            r"not a LoRA of this model; .*blocks.7",
        ),
        "one layer too many": (
            {**good, "transformer.extra.lora_A.weight": down, "transformer.extra.lora_B.weight": up},
            r"not a LoRA of this model; .*extra",
        ),
        "no LoRA": ({"something.weight": down}, r"not a LoRA of this model; .*something.weight"),
        "half a LoRA": (
            {k: v for k, v in good.items() if "lora_A" in k}, r"the other half is missing of .*lora_A",
        ),
        "kohya with more": ({**kohya_flux()[0], "lora_unet_final_thing.hada_w1_a": down}, r"hada_w1_a"),
    }  # fmt: skip
    for case, (tensors, message) in bad.items():
        save_file({k: v.clone() for k, v in tensors.items()}, file)
        with pytest.raises(FlowsynthError, match=message):
            latents("FluxPipeline", folder, tmp_path / case, loras=[{"source": str(file)}])
