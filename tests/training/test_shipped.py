"""The family in the package: it fits, it loads, and its autoencoder keeps pictures.

What it obeys is in tests/pocket.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from flowsynth.training.evaluate import Restyle, load_pipeline, psnr, reduced, restyle
from flowsynth.training.export import BUDGET_BYTES
from flowsynth.training.styled import VERSIONS, StyledPicture
from flowsynth.training.vae import reconstruct

Picture = npt.NDArray[np.uint8]
POCKET = Path(str(files("flowsynth") / "assets" / "pocket"))
PICTURE = Path(str(files("flowsynth") / "assets" / "pictures" / "astronaut.jpg"))


@pytest.fixture(scope="module")
def pipe() -> Any:
    return load_pipeline(POCKET)


@pytest.fixture(scope="module")
def made() -> StyledPicture:
    # Cut to head and shoulders: small, so that a test takes about a second.
    picture = np.asarray(Image.open(PICTURE).convert("RGB"))[:320, 60:380]
    return reduced(picture, 96)


@pytest.fixture(scope="module")
def toon(made: StyledPicture) -> Picture:
    picture: Picture = made.versions[VERSIONS.index("toon")]
    return picture


@pytest.fixture(scope="module")
def default(pipe: Any, made: StyledPicture, toon: Picture) -> Picture:
    return restyle(pipe, toon, toon, made.lines, Restyle())


def test_the_family_fits_its_budget_and_anyone_can_read_it() -> None:
    paths = [path for path in POCKET.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) <= BUDGET_BYTES
    assert not [path for path in paths if path.suffix in {".bin", ".pt", ".pkl", ".ckpt"}]
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in paths)


def test_every_part_loads_by_its_ordinary_class() -> None:
    from diffusers import MotionAdapter, StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(POCKET, local_files_only=True)
    assert pipe.unet.dtype == pipe.vae.dtype == pipe.text_encoder.dtype == torch.float32
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    assert pipe.vae_scale_factor == 4
    adapter = MotionAdapter.from_pretrained(POCKET / "motion_adapter", local_files_only=True)
    assert tuple(adapter.config.block_out_channels) == tuple(pipe.unet.config.block_out_channels)


@pytest.mark.slow
def test_the_autoencoder_keeps_a_picture(pipe: Any) -> None:
    picture = np.asarray(Image.open(PICTURE).convert("RGB"))
    _, decibel = reconstruct(pipe.vae, picture)
    assert decibel > 28


def test_latents_have_unit_scale(pipe: Any, made: StyledPicture) -> None:
    pixels = torch.from_numpy(made.versions).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        latents = pipe.vae.encode(pixels).latent_dist.mode()
    assert pipe.vae.config.scaling_factor == 1.0
    assert 0.6 < float(latents.std()) < 1.5


def test_the_default_strength_keeps_the_guide(default: Picture, toon: Picture, made: StyledPicture) -> None:
    assert default.shape == toon.shape
    assert psnr(default, toon) > 20
    assert psnr(default, toon) > psnr(default, made.versions[0])
