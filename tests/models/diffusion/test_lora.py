"""LoRAs: every layout gives what its folded weights give, or is refused with the names of its tensors."""

from __future__ import annotations

import copy
import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from flowsynth.core.errors import InputError
from flowsynth.models import ModelManager, model_fingerprint, parse_model
from flowsynth.models.diffusion.names import aliases
from flowsynth.models.families.sd.model import SdModel
from tests.models.diffusion.lora_layouts import (
    ATTENTION,
    ATTENTION_TEXT,
    LAYOUTS,
    TEXT,
    TEXT_LAYOUTS,
    UNET,
    UNET_LAYOUTS,
    Example,
    example,
)
from tests.tiny import as_sd, tiny_sd

DIFFUSERS = LAYOUTS["diffusers"]


@functools.lru_cache(maxsize=1)
def base() -> SdModel:
    return model()


def model(*files: Path, **extra: Any) -> SdModel:
    loras = [{"source": str(file), **extra} for file in files]
    spec = {"family": "sd", "source": str(tiny_sd() / "base"), "loras": loras}
    return as_sd(ModelManager().load(parse_model("base", spec)))


def noise(unet: Any, frames: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (1, 4, frames, 8, 8) if frames else (1, 4, 8, 8)
    sample, text = (torch.randn(s, generator=generator) for s in (shape, (1, 77, 32)))
    text = text.repeat(max(frames, 1), 1, 1)
    with torch.no_grad():
        result: torch.Tensor = unet(sample, torch.tensor(500), encoder_hidden_states=text).sample
    return result


def states(net: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = net(torch.arange(77)[None] % 40)[0]
    return result


def acts_as(made: torch.Tensor, folded: torch.Tensor, without: torch.Tensor) -> None:
    assert (folded - without).abs().max() > 0.02, "the update is seen"
    assert (made - folded).abs().max() < 2e-5


def unet_acts_as(file: Path, folded: Any, **extra: Any) -> None:
    acts_as(noise(model(file, **extra).unet), noise(folded), noise(base().unet))


def saved(made: Example, path: Path, metadata: dict[str, Any] | None = None) -> Path:
    header = {} if metadata is None else {"lora_adapter_metadata": json.dumps(metadata)}
    save_file(made.tensors, path, metadata={"format": "pt", **header})
    return path


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", [*LAYOUTS, *UNET_LAYOUTS])
def test_every_layout_of_a_unet_s_lora_is_its_folded_weights(name: str, tmp_path: Path) -> None:
    layout = {**LAYOUTS, **UNET_LAYOUTS}[name]
    modules = ATTENTION if name == "processors" else UNET
    made = example(base().unet, "unet", modules, layout)
    unet_acts_as(saved(made, tmp_path / "x.safetensors"), made.folded)


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", [*LAYOUTS, *TEXT_LAYOUTS])
def test_every_layout_of_a_text_encoder_s_lora_is_its_folded_weights(name: str, tmp_path: Path) -> None:
    layout = {**LAYOUTS, **TEXT_LAYOUTS}[name]
    modules = ATTENTION_TEXT if name == "processors" else TEXT
    made = example(base().text_encoder.net, "text_encoder", modules, layout)
    file = saved(made, tmp_path / "x.safetensors")
    loaded = model(file)
    acts_as(states(loaded.text_encoder.net), states(made.folded), states(base().text_encoder.net))
    assert torch.equal(noise(loaded.unet), noise(base().unet)), "a text encoder's LoRA leaves the UNet alone"


def test_one_file_for_both_networks_and_pickled_ones(tmp_path: Path) -> None:
    unet = example(base().unet, "unet", UNET, UNET_LAYOUTS["kohya"])
    text = example(base().text_encoder.net, "text_encoder", TEXT, TEXT_LAYOUTS["kohya"])
    torch.save({**unet.tensors, **text.tensors}, tmp_path / "both.pt")
    loaded = model(tmp_path / "both.pt")
    acts_as(noise(loaded.unet), noise(unet.folded), noise(base().unet))
    acts_as(states(loaded.text_encoder.net), states(text.folded), states(base().text_encoder.net))


def _half(module: str, rank: int, alpha: float | None) -> float:
    return (alpha or rank) / rank / 2


def test_scales_multiply_and_several_add_up(tmp_path: Path) -> None:
    made = example(base().unet, "unet", UNET, UNET_LAYOUTS["kohya"], scale=_half)
    file = saved(made, tmp_path / "x.safetensors")
    unet_acts_as(file, made.folded, scale=0.5)
    whole = example(base().unet, "unet", UNET, UNET_LAYOUTS["kohya"])
    acts_as(noise(model(file, file, scale=0.5).unet), noise(whole.folded), noise(base().unet))


METADATA: dict[str, tuple[dict[str, Any], Any]] = {
    "alpha": ({"unet.r": 2, "unet.lora_alpha": 6}, lambda module, rank: 6 / rank),
    "alphas": (
        {"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 8, "conv_in": 5}},
        lambda module, rank: {"to_q": 8, "conv_in": 5}.get(module.rpartition(".")[2], 2) / rank,
    ),
    "rslora": (
        {"unet.lora_alpha": 3, "unet.use_rslora": True, "unet.target_modules": ["to_q"]},
        lambda module, rank: 3 / math.sqrt(rank),
    ),
    "bare names": ({"lora_alpha": 1, "peft_type": "LORA", "bias": "none"}, lambda module, rank: 1 / rank),
    "another network's": ({"text_encoder.lora_alpha": 9}, lambda module, rank: 1.0),
}


@pytest.mark.parametrize("case", METADATA)
def test_what_the_metadata_says_acts(case: str, tmp_path: Path) -> None:
    metadata, factor = METADATA[case]
    made = example(base().unet, "unet", UNET, DIFFUSERS, scale=lambda module, rank, _: factor(module, rank))
    unet_acts_as(saved(made, tmp_path / "x.safetensors", metadata), made.folded)


def test_peft_s_configuration_beside_its_weights_acts_and_is_part_of_the_identity(tmp_path: Path) -> None:
    made = example(base().unet, "unet", UNET, LAYOUTS["peft"], scale=lambda module, rank, _: 7 / rank)
    file = saved(made, tmp_path / "adapter_model.safetensors")
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 7, "task_type": None}))
    unet_acts_as(file, made.folded)
    spec = parse_model(
        "b", {"family": "sd", "source": str(tiny_sd() / "base"), "loras": [{"source": str(file)}]}
    )
    first = model_fingerprint(spec)
    config.write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 1}))
    assert model_fingerprint(spec) != first
    config.unlink()
    assert model_fingerprint(spec) != first


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "name", ["dora_scale", "lora_magnitude_vector", "lora_magnitude_vector.default.weight"]
)
def test_magnitudes_of_dora_act(name: str, tmp_path: Path) -> None:
    """W' = m (W + up @ down) / |W + up @ down|, row by row (arXiv 2402.09353)."""
    modules = tuple(module for module in UNET if "conv" not in module and "proj_in" not in module)
    made = example(base().unet, "unet", modules, DIFFUSERS)
    for i, module in enumerate(modules):
        weight = made.folded.get_submodule(module).weight
        magnitude = torch.rand(weight.shape[0], generator=torch.Generator().manual_seed(i)) + 0.5
        weight.data = magnitude[:, None] * weight.data / weight.data.norm(dim=1, keepdim=True)
        made.tensors[f"unet.{module}.{name}"] = magnitude[:, None] if name == "dora_scale" else magnitude
    unet_acts_as(saved(made, tmp_path / "x.safetensors"), made.folded)
    made.tensors.pop(f"unet.{modules[0]}.{name}")
    with pytest.raises(
        InputError, match=rf"some layers have magnitudes, and unet.{modules[0]}.lora_A.weight"
    ):
        _ = model(saved(made, tmp_path / "y.safetensors")).unet


def test_factors_of_1x1_convolutions_may_be_matrices(tmp_path: Path) -> None:
    made = example(base().unet, "unet", UNET, DIFFUSERS)
    flat = {k: v.flatten(1) if "proj_in" in k else v for k, v in made.tensors.items()}
    unet_acts_as(saved(Example(flat, None), tmp_path / "x.safetensors"), made.folded)


def test_an_adapter_of_motion_modules_needs_them(tmp_path: Path) -> None:
    module = "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q"
    width = 16
    factors = {"down": torch.randn(2, width), "up": torch.randn(width, 2)}
    stem = "unet." + module.removesuffix(".to_q") + ".processor.to_q_lora"
    save_file({f"{stem}.{k}.weight": v for k, v in factors.items()}, tmp_path / "pan.safetensors")
    loras = [{"source": str(tmp_path / "pan.safetensors")}]
    spec = {"family": "sd", "source": str(tiny_sd() / "base"), "loras": loras}
    with pytest.raises(InputError, match=r"its unet has no layers for unet.down_blocks.0.motion_modules.0"):
        _ = as_sd(ModelManager().load(parse_model("m", spec))).unet
    moving = {**spec, "motion": str(tiny_sd() / "motion_adapter")}
    net = as_sd(ModelManager().load(parse_model("m", moving))).unet
    assert torch.equal(net.get_submodule(module).lora_A["lora0"].weight, factors["down"])


@pytest.mark.parametrize("layout", ["animatediff", "swift"])
def test_adapters_of_motion_modules_in_their_published_names_are_folded_weights(
    layout: str, tmp_path: Path
) -> None:
    """Camera movements of AnimateDiff's authors, and MagicTime's temporal adapter."""
    ours = "mid_block.motion_modules.0.transformer_blocks.0.attn2.to_out.0"
    theirs = "mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.1"
    factors = [torch.randn(2, 32), torch.randn(32, 2)]
    stems = {
        "animatediff": [f"{theirs}.processor.to_out_lora.{half}.weight" for half in ("down", "up")],
        "swift": [f"{theirs}.to_out.0.lora_{half}.0_SwiftLoRA.weight" for half in ("A", "B")],
    }
    file = tmp_path / ("adapter_model.safetensors" if layout == "swift" else "move.safetensors")
    save_file(dict(zip(stems[layout], factors, strict=True)), file)
    told = {"swift_type": "LORA", "peft_type": "LORA", "r": 2, "lora_alpha": 4, "lorap_lr_ratio": 16.0}
    training = {"lorap_emb_lr": 1e-06, "lora_dtype": None, "enable_lora": None, "use_qa_lora": False}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told | training))
    factor = 1.0 if layout == "swift" else 0.5
    spec = {"family": "sd", "source": str(tiny_sd() / "base"), "motion": str(tiny_sd() / "motion_adapter")}
    loras = [{"source": str(file), "scale": 0.5}]
    plain = as_sd(ModelManager().load(parse_model("m", spec))).unet
    moved = as_sd(ModelManager().load(parse_model("m", {**spec, "loras": loras}))).unet
    folded = copy.deepcopy(plain)
    folded.get_submodule(ours).weight.data += factor * factors[1] @ factors[0]
    acts_as(*(noise(net, frames=2) for net in (moved, folded, plain)))


def test_magictimes_spatial_adapter_acts_four_times(tmp_path: Path) -> None:
    """Its authors double both factors when they add it (`load_diffusers_lora`): scale 4 of our file."""
    modules = (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.",
        "mid_block.attentions.0.transformer_blocks.0.attn2.",
    )
    tensors: dict[str, torch.Tensor] = {}
    folded = copy.deepcopy(base().unet)
    for module in modules:
        for part, inner in (("to_q", "to_q"), ("to_v", "to_v"), ("to_out", "to_out.0")):
            weight = folded.get_submodule(module + inner).weight
            down, up = torch.randn(2, weight.shape[1]) / 4, torch.randn(weight.shape[0], 2) / 4
            stem = f"{module}processor.{part}_lora"
            tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
            weight.data += torch.mm(up * 2, down * 2)
    torch.save(tensors, tmp_path / "magic_adapter_s.ckpt")
    unet_acts_as(tmp_path / "magic_adapter_s.ckpt", folded, scale=4.0)


OTHER_KINDS = {
    "LoHa": ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"],
    "LoKr": ["lokr_w1", "lokr_w2"],
    "(IA)^3": ["ia3_l"],
    "OFT": ["oft_blocks"],
    "a difference": ["diff"],
    "a bias": ["diff_b"],
    "Tucker factors": ["lora_mid.weight"],
    "a LoRA's bias": ["lora_B.bias"],
    "GLoRA": ["a1.weight", "b1.weight"],
    "a scalar": ["scalar"],
}


@pytest.mark.parametrize("case", OTHER_KINDS)
@pytest.mark.parametrize("mixed", [False, True])
def test_other_kinds_are_refused_with_their_names(case: str, mixed: bool, tmp_path: Path) -> None:
    names = [f"lora_unet_conv_in.{leaf}" for leaf in OTHER_KINDS[case]]
    tensors = {name: torch.ones(2, 2) for name in names}
    if mixed:
        tensors |= example(base().unet, "unet", UNET, UNET_LAYOUTS["kohya"]).tensors
    loaded = model(saved(Example(tensors, None), tmp_path / "x.safetensors"))
    said = "more than a LoRA" if mixed else "not a LoRA of this model"
    with pytest.raises(InputError, match=f"x.safetensors: {said}; no LoRA's layer has {names[0]}"):
        _ = loaded.unet


def _conv_in(down: tuple[int, ...], up: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {"unet.conv_in.lora_A.weight": torch.ones(down), "unet.conv_in.lora_B.weight": torch.ones(up)}


REFUSED: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "a second text encoder": (
        {
            f"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_{k}.weight": torch.ones(2, 2)
            for k in ("down", "up")
        },
        "no LoRA's layer has lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
    ),
    "another architecture": (
        {f"transformer.single_blocks.0.attn.to_q.lora_{k}.weight": torch.ones(2, 2) for k in "AB"},
        "its unet has no layers for transformer.single_blocks.0.attn.to_q.lora_A.weight",
    ),
    "half of a layer": (
        {"unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3)},
        "the other half is missing of unet.conv_in.lora_A.weight",
    ),
    "another width": (
        {
            "unet.conv_in.lora_A.weight": torch.ones(2, 9, 3, 3),
            "unet.conv_in.lora_B.weight": torch.ones(16, 2, 1, 1),
        },
        r"unet.conv_in.lora_A.weight has shape \(2, 9, 3, 3\), expected \(2, 4, 3, 3\)",
    ),
    "another rank": (
        {
            "unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3),
            "unet.conv_in.lora_B.weight": torch.ones(16, 3, 1, 1),
        },
        r"unet.conv_in.lora_B.weight has shape \(16, 3, 1, 1\), expected \(16, 2, 1, 1\)",
    ),
    "two names of one layer": (
        {
            name: torch.ones(2, 2)
            for stem in ("unet.conv_in", "lora_unet_conv_in")
            for name in (f"{stem}.lora_A.weight", f"{stem}.lora_B.weight")
        },
        "conv_in.* name one tensor",
    ),
    "nothing": ({}, "no LoRA's layer has nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_its_names(case: str, tmp_path: Path) -> None:
    tensors, message = REFUSED[case]
    loaded = model(saved(Example(tensors, None), tmp_path / "x.safetensors"))
    with pytest.raises(InputError, match=message):
        _ = loaded.unet


BAD_METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"peft_type": "LOHA"}, "an adapter of type LOHA; expected LORA"),
    "a changed base": ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights 'pissa_niter_4' changed"),
    "magnitudes that are not there": ({"use_dora": True}, "says use_dora, but it holds no magnitudes"),
    "biases": ({"bias": "all"}, r"asks for what is not applied here \(bias: 'all'\)"),
    "modules of its own": ({"modules_to_save": ["conv_in"]}, r"modules_to_save: \['conv_in'\]"),
    "a setting of the future": ({"use_something": {"x": 1}}, "use_something"),
    "no number": ({"lora_alpha": "much"}, "are no numbers"),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_metadata_that_cannot_act_is_refused(case: str, tmp_path: Path) -> None:
    metadata, message = BAD_METADATA[case]
    made = example(base().unet, "unet", ATTENTION, DIFFUSERS)
    loaded = model(saved(made, tmp_path / "x.safetensors", metadata))
    with pytest.raises(InputError, match=message):
        _ = loaded.unet


def test_layers_that_fit_nothing_are_named_though_others_fit(tmp_path: Path) -> None:
    made = example(base().unet, "unet", UNET, DIFFUSERS)
    extra = DIFFUSERS("unet", "conv_mid", torch.ones(2, 2), torch.ones(2, 2), 1.0)
    loaded = model(saved(Example({**made.tensors, **extra}, None), tmp_path / "x.safetensors"))
    with pytest.raises(
        InputError, match=r"no layers for unet.conv_mid.lora_A.weight, unet.conv_mid.lora_B.weight$"
    ):
        _ = loaded.unet


def test_original_names_of_a_real_unet_s_layers_are_unique() -> None:
    """Of SD 1.5's configuration: what kohya's underscores leave apart."""
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel

    with init_empty_weights():
        net = UNet2DConditionModel(cross_attention_dim=768)
    names = [name for name, module in net.named_modules() if getattr(module, "weight", None) is not None]
    table = aliases(names)
    assert set(table.values()) == set(names)
    originals = [
        lora_name for lora_name in table if lora_name.startswith(("input_blocks.", "output_blocks."))
    ]
    assert table["input_blocks.3.0.op"] == "down_blocks.0.downsamplers.0.conv"
    assert table["output_blocks.2.1.conv"] == "up_blocks.0.upsamplers.0.conv"
    assert table["output_blocks.5.2.conv"] == "up_blocks.1.upsamplers.0.conv"
    assert table["output_blocks.11.1.proj_out"] == "up_blocks.3.attentions.2.proj_out"
    assert len(originals) == len({table[name] for name in originals})
