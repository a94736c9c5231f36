"""A work folder with generated pictures and configs small enough for a few seconds."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flowsynth.training.pocket import Training

LOOP = {"warmup": 1, "checkpoint_seconds": 1000.0, "bfloat16": False, "ema": 0.9}
NETWORK = {
    "latent_channels": 4,
    "channels": [8, 16, 16],
    "heads": 2,
    "groups": 4,
    "text_width": 16,
    "text_layers": 1,
    "text_heads": 2,
    "embedding_channels": [4, 8, 8],
    "motion_heads": 2,
}
SCHEDULER_SIDE = 48


def generated_picture(seed: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:56, 0:64] / 64
    waves = [np.sin(2 * np.pi * (rng.uniform(0.5, 3) * x + rng.uniform(0.5, 3) * y)) for _ in range(3)]
    picture = 0.5 + 0.35 * np.stack(waves, -1)
    picture[16:40, 20:44] = rng.random(3)
    levels: npt.NDArray[np.uint8] = (picture * 255).round().astype(np.uint8)
    return levels


def write_configs(folder: Path, pictures: Path) -> None:
    configs = {
        "pictures": {
            "short_side": SCHEDULER_SIDE,
            "folders": [str(pictures)],
            "held_out": ["p0.png"],
            "subjects": {"p1*": "a castle"},
        },
        "vae": {
            "channels": [8, 16, 16],
            "latent_channels": 4,
            "groups": 4,
            "batch": 4,
            "crop": 16,
            "short_sides": [32, 48],
            "styled_short_sides": [48],
            "loop": {**LOOP, "steps": 4},
        },
        "decoder": {
            "batch": 4,
            "crop": 32,
            "styled_share": 0.5,
            "perceptual_weight": 0.0,
            "loop": {**LOOP, "steps": 2},
        },
        "denoiser": {
            "network": NETWORK,
            "short_sides": [48],
            "batch": 6,
            "crop": 8,
            "shapes": {"count": 6},
            "shapes_share": 0.3,
            "prefit_steps": 3,
            "text_steps": 2,
            "reader_steps": 2,
            "loop": {**LOOP, "steps": 4},
        },
        "motion": {"clips": 1, "frames": 3, "side": 32, "loop": {**LOOP, "steps": 3}},
        "lora": {"rank": 2, "batch": 3, "crop": 8, "loop": {**LOOP, "steps": 2}},
    }
    for name, values in configs.items():
        OmegaConf.save(OmegaConf.create(values), folder / f"{name}.yaml")


def new_training(folder: Path) -> Training:
    pictures, configs = folder / "pictures", folder / "configs"
    pictures.mkdir()
    configs.mkdir()
    for index in range(3):
        Image.fromarray(generated_picture(index)).save(pictures / f"p{index}.png")
    write_configs(configs, pictures)
    return Training(folder / "work", configs)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return new_training(tmp_path)


@pytest.fixture(scope="session")
def once_trained(tmp_path_factory: pytest.TempPathFactory) -> Training:
    training = new_training(tmp_path_factory.mktemp("training"))
    training.vae_trainer().run()
    training.denoiser_trainer()  # what it makes of the pictures is kept in the work folder
    return training


@pytest.fixture
def trained(once_trained: Training, tmp_path: Path) -> Training:
    """A folder of its own in which the autoencoder is trained and nothing else is."""
    shutil.copytree(once_trained.work, tmp_path / "work")
    return Training(tmp_path / "work", once_trained.configs)
