"""Denoising that goes on with the latents of another one: SDXL's base and refiner, a second pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline

import flowsynth as fs
from tests.models.families.diffusers.checkpoints import write, xl_networks, xl_pipeline, xl_tensors

SIZE = {"height": 32, "width": 32}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def graph(file: Path, options: list[dict[str, Any]], pipelines: list[str], **second: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": {"op": "empty_latents", "inputs": {"model": "models.m0"}, "params": SIZE}
    }
    for k, given in enumerate(options):
        nodes[f"text{k}"] = {
            "op": "text_encode",
            "inputs": {"model": f"models.m{k}"},
            "params": {"prompt": "a cat", "negative_prompt": "bad"},
        }
        nodes[f"drawn{k}"] = {
            "op": "denoise",
            "inputs": {
                "model": f"models.m{k}",
                "latents": "start" if k == 0 else "drawn0",
                "conditioning": f"text{k}",
            },
            "params": {"num_inference_steps": 4, "guidance_scale": 5.0, "seed": k, "options": given}
            | (second if k else {}),
        }
    nodes["pictures"] = {
        "op": "vae_decode",
        "inputs": {"model": "models.m1", "latents": "drawn1"},
        "params": {"dtype": "float32"},
    }
    models = {
        f"m{k}": {"family": "diffusers", "pipeline": name, "source": str(file)}
        for k, name in enumerate(pipelines)
    }
    return {"models": models, "nodes": nodes, "outputs": ["pictures"]}


def second_pipe(first: Any) -> Any:
    parts = {k: v for k, v in first.components.items() if k not in ("image_encoder", "feature_extractor")}
    pipe = StableDiffusionXLImg2ImgPipeline(
        **{**parts, "scheduler": EulerDiscreteScheduler(**first.scheduler.config)}
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("handed", [True, False])
def test_latents_are_taken_over_as_diffusers_own_calls_do(handed: bool, tmp_path: Path) -> None:
    nets = xl_networks()
    file = write(tmp_path, xl_tensors(nets))
    names = ["StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"]
    options = [{"denoising_end": 0.5}, {"denoising_start": 0.5}] if handed else [{}, {}]
    more = {} if handed else {"strength": 0.5}
    made = fs.Graph.from_dict(graph(file, options, names, **more)).run(cache_dir=tmp_path / "cache")[
        "pictures"
    ]
    first = xl_pipeline(nets)
    first.set_progress_bar_config(disable=True)
    said = {"prompt": "a cat", "negative_prompt": "bad", "num_inference_steps": 4, "guidance_scale": 5.0}
    latents = first(
        **said, **SIZE, **options[0], output_type="latent", generator=torch.Generator().manual_seed(0)
    ).images
    expected = second_pipe(first)(
        **said,
        **options[1],
        **more,
        image=latents,
        output_type="pt",
        generator=torch.Generator().manual_seed(1),
    ).images
    assert torch.allclose(made.tensor, expected, atol=1e-4)


def test_a_class_that_starts_from_noise_refuses_them(tmp_path: Path) -> None:
    file = write(tmp_path, xl_tensors(xl_networks()))
    names = ["StableDiffusionXLPipeline"] * 2
    run = fs.Graph.from_dict(graph(file, [{}, {}], names)).run(cache_dir=tmp_path / "cache", check=False)
    assert "StableDiffusionXLPipeline starts from noise; expected empty latents" in str(run.record)
