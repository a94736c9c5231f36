"""Writes the trained family as an ordinary diffusers folder."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler

from flowsynth.training.networks import SCHEDULER

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderKL

    from flowsynth.training.denoiser import DenoiserStage

BUDGET_BYTES = 25 * 2**20
#: The model card and what belongs to it.
CARD_FILES = ("README.md", "LICENSE", "ATTRIBUTION.md")


def export_family(
    folder: Path, vae: AutoencoderKL, denoiser: DenoiserStage, adapter: torch.nn.Module, card: Path
) -> int:
    """Writes all parts in float16 safetensors, with model card and licences.

    Args:
        folder: Target; parts in it are replaced.
        vae: The normalised autoencoder.
        denoiser: Text encoder, UNet and ControlNets, with the weights to ship.
        adapter: The motion adapter.
        card: Folder whose texts (README.md, LICENSE...) are copied in; may be the target itself.

    Returns:
        Bytes written.

    Raises:
        ValueError: If a weight is not finite in float16, or the family is over its budget.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {
        "vae": vae,
        "text_encoder": denoiser.text_encoder,
        "unet": denoiser.unet,
        "controlnet_lines": denoiser.lines,
        "controlnet_tile": denoiser.tile,
        "motion_adapter": adapter,
    }
    for name, module in parts.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        _save_half(module, folder / name)
    _compute_in_float32(folder / "text_encoder" / "config.json")
    denoiser.tokenizer.save_pretrained(folder / "tokenizer")
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(model_index(), indent=2) + "\n")
    for name in CARD_FILES:
        if (card / name).is_file() and card.resolve() != folder.resolve():
            shutil.copyfile(card / name, folder / name)
    return _finish(folder)


def _save_half(module: Any, folder: Path) -> None:
    half = copy.deepcopy(module)
    for tensor in (*half.parameters(), *half.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(torch.float16)
    for name, parameter in half.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ValueError(f"{folder.name}: {name} is not finite in float16")
    half.save_pretrained(folder, safe_serialization=True)


def _compute_in_float32(config: Path) -> None:
    """Makes float32 the default: transformers loads in the stored type, diffusers in float32."""
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"dtype": "float32"}, indent=2) + "\n")


def model_index() -> dict[str, Any]:
    """Returns the ``model_index.json`` of a ``StableDiffusionPipeline`` without a safety checker."""
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.35.0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _finish(folder: Path) -> int:
    """Makes files readable to all (some are written with mode 0600) and checks the total size."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    total = sum(path.stat().st_size for path in files)
    if total > BUDGET_BYTES:
        raise ValueError(f"{folder}: {total / 2**20:.1f} MiB, over the budget of {BUDGET_BYTES // 2**20} MiB")
    return total
