"""A folder as ComfyUI has it, with tiny real checkpoints under the names that workflows say."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.models.families.diffusers.checkpoints import xl_networks, xl_tensors
from tests.models.families.sd.test_known import checkpoint
from tests.models.families.sd.test_known_parts import control_tensors


@functools.lru_cache(maxsize=1)
def comfy_folder() -> Path:
    """``models`` and ``input``, made once a process."""
    root = Path(tempfile.mkdtemp(prefix="comfy-"))
    for name in ("checkpoints", "vae", "controlnet"):
        (root / "models" / name).mkdir(parents=True)
    (root / "input").mkdir()
    state = torch.random.get_rng_state()
    _models(root / "models")
    torch.random.set_rng_state(state)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = np.indices((64, 64)).sum(0)[..., None] * 2
    pixels[..., 3] = 255
    pixels[16:48, 16:48, 3] = 0
    Image.fromarray(pixels).save(root / "input" / "example.png")
    return root


def _models(root: Path) -> None:
    tensors, _ = checkpoint(1)
    stem = "first_stage_model."
    vae = {name.removeprefix(stem): t for name, t in tensors.items() if name.startswith(stem)}
    save_file(tensors, root / "checkpoints" / "sd15.safetensors")
    save_file(vae, root / "vae" / "vae.safetensors")
    save_file(control_tensors(), root / "controlnet" / "lines.safetensors")
    save_file(xl_tensors(xl_networks()), root / "checkpoints" / "sdxl.safetensors")
    save_file(xl_tensors(xl_networks(refiner=True)), root / "checkpoints" / "sdxl_refiner.safetensors")
