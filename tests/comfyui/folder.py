"""A folder as ComfyUI has it, with tiny real checkpoints under the names that workflows say."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.models.families.sd.test_known import checkpoint


@functools.lru_cache(maxsize=1)
def comfy_folder() -> Path:
    """``models`` and ``input``, made once a process."""
    root = Path(tempfile.mkdtemp(prefix="comfy-"))
    for name in ("checkpoints", "vae"):
        (root / "models" / name).mkdir(parents=True)
    (root / "input").mkdir()
    state = torch.random.get_rng_state()
    save_file(checkpoint(1)[0], root / "models" / "checkpoints" / "sd15.safetensors")
    torch.random.set_rng_state(state)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = np.indices((64, 64)).sum(0)[..., None] * 2
    pixels[..., 3] = 255
    pixels[16:48, 16:48, 3] = 0
    Image.fromarray(pixels).save(root / "input" / "example.png")
    return root
