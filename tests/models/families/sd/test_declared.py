"""What a declared model says wrongly is told before anything runs, from headers and sources alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import flowsynth as fs
from flowsynth.core.errors import GraphError
from flowsynth.models import declaration_faults
from flowsynth.models.diffusion.names import diffusers_name, original_name
from tests.models.families.sd.test_known import checkpoint

ROOT = Path(__file__).parents[4]
POCKET = ROOT / "flowsynth" / "assets" / "pocket"
SEPIA = POCKET / "lora_sepia" / "pytorch_lora_weights.safetensors"


def faults(**spec: Any) -> list[str]:
    return [str(f) for f in declaration_faults("m", {"family": "sd", "source": "shipped:pocket", **spec})]


def lora(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> list[dict[str, str]]:
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "l.safetensors")
    return [{"source": str(tmp_path / "l.safetensors")}]


def test_a_lora_of_this_model_is_right() -> None:
    assert faults(loras=[{"source": str(POCKET / "lora_sepia")}]) == []
    motion = {"motion": str(POCKET / "motion_adapter")}
    assert faults(loras=[{"source": str(POCKET / "lora_sepia")}], **motion) == []


def pairs(name: str, wide: int, tall: int, rank: int = 2) -> dict[str, torch.Tensor]:
    return {f"{name}.lora_A.weight": torch.ones(rank, wide), f"{name}.lora_B.weight": torch.ones(tall, rank)}


WRONG = {
    "layers of another model": (pairs("unet.down_blocks.7.attentions.0.proj_in", 4, 4), "has no layers for"),
    "another width": (
        pairs("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", 5, 5),
        "do not make the",
    ),
    "no lora": ({"conv_in.weight": torch.ones(2, 2)}, "not a LoRA of this model"),
    "half of one": ({"unet.conv_in.lora_A.weight": torch.ones(2, 2)}, "the other half is missing"),
    "another kind": ({"lora_unet_conv_in.hada_w1_a": torch.ones(2, 2)}, "not a LoRA of this model"),
    "of a second text encoder": (pairs("lora_te2_text_model_encoder_layers_0_mlp_fc1", 4, 4), "not a LoRA"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_lora_of_another_model_is_told_from_its_header(kind: str, tmp_path: Path) -> None:
    tensors, said = WRONG[kind]
    (fault,) = faults(loras=lora(tmp_path, tensors))
    assert fault.startswith("models.m.loras[0].source: ")
    assert said in fault


def test_a_layer_of_a_single_file_goes_by_both_names(tmp_path: Path) -> None:
    tensors, nets = checkpoint(1)
    save_file(tensors, tmp_path / "some.safetensors")
    modules = [name.rpartition(".")[0] for name in nets["unet"].state_dict()]
    for module in modules:
        assert diffusers_name(str(original_name(module, modules)), 2) == module
    source = {"source": str(tmp_path / "some.safetensors")}
    inside = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    for name in (f"unet.{inside}", f"lora_unet_{str(original_name(inside, modules)).replace('.', '_')}"):
        assert faults(loras=lora(tmp_path, pairs(name, 64, 64)), **source) == []
        assert "do not make" in faults(loras=lora(tmp_path, pairs(name, 64, 32)), **source)[0]
    text = pairs("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", 64, 64)
    assert faults(loras=lora(tmp_path, text), **source) == []


def test_scheduler_options_are_told_with_the_nearest_name() -> None:
    (fault,) = faults(scheduler={"name": "euler", "beta_shedule": "linear"})
    assert fault.startswith("models.m.scheduler.beta_shedule: EulerDiscreteScheduler has no such option")
    assert fault.endswith("did you mean 'beta_schedule'?")
    assert "did you mean 'linear'?" in faults(scheduler={"beta_schedule": "lineer"})[0]
    assert "given 'many'" in faults(scheduler={"name": "ddim", "num_train_timesteps": "many"})[0]
    assert faults(scheduler={"name": "dpmpp_2m", "solver_type": "heun", "use_karras_sigmas": True}) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timestep_spacin": "trailing"}, "did you mean 'timestep_spacing'?"),
        ({"timestep_spacing": "trailling"}, "did you mean 'trailing'?"),
        ({"use_karras_sigmas": "yes"}, "expected bool; given 'yes'"),
        ({"beta_end": None}, "given null"),
    ],
)
def test_a_node_s_scheduler_options_are_told_before_a_run(options: dict[str, Any], said: str) -> None:
    with pytest.raises(GraphError) as error:
        fs.compose(
            "text_to_image",
            ["graph.nodes.denoise.params.scheduler=euler"]
            + [
                f"graph.nodes.denoise.params.scheduler_options.{k}={'null' if v is None else v}"
                for k, v in options.items()
            ],
        )
    assert "nodes.denoise.params.scheduler_options." in str(error.value)
    assert said in str(error.value)


def test_faults_of_models_and_nodes_come_at_once(tmp_path: Path) -> None:
    data = {
        "models": {
            "a": {"family": "sd", "source": "shipped:pocket", "loras": lora(tmp_path, WRONG["no lora"][0])},
            "b": {"family": "diffusers", "source": "nowhere", "pipeline": "FluxPipelin"},
        },
        "nodes": {"p": {"op": "text_encode", "inputs": {"model": "models.a"}, "params": {"promt": "x"}}},
    }  # fmt: skip
    with pytest.raises(GraphError) as error:
        fs.Graph.from_dict(data)
    places = {fault.path for fault in error.value.faults}
    assert places == {
        "models.a.loras[0].source",
        "models.b.pipeline",
        "nodes.p.params.promt",
    }


def test_a_model_that_no_node_uses_gets_a_note(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "two.yaml").write_text(
        "models: {spare: {family: sd, source: 'shipped:pocket'}}\n"
        "nodes: {picture: {op: read_image, params: {path: x.png}}}\n"
    )
    command = [sys.executable, "-m", "flowsynth", "validate", "graph=two"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0
    assert done.stderr == (
        "note: models.spare: no node uses it; expected inputs: {model: models.spare} in a node\n"
    )


def test_no_torch_is_imported_for_it() -> None:
    code = f"""
import sys
from flowsynth.models import declaration_faults
spec = {{"family": "sd", "source": "shipped:pocket", "loras": [{{"source": {str(SEPIA)!r}}}],
         "scheduler": {{"name": "euler", "nope": 1}}}}
assert len(declaration_faults("m", spec)) == 1
assert not {{"torch", "diffusers", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(ROOT)})


def test_the_shipped_adapter_is_the_one_that_is_tried() -> None:
    assert any("lora" in name for name in load_file(SEPIA))
