"""Command line: ``python -m flowsynth.training.pocket STAGE`` trains the pocket family.

Stages, in order: ``vae``, ``decoder``, ``denoiser``, ``motion``, ``lora``, ``export``, ``evaluate``; ``all``
runs them one after another. Each trains from its last checkpoint in the work folder, so that a stopped run
goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from flowsynth.training.captions import subject_of, vocabulary
from flowsynth.training.decoder import DecoderStage
from flowsynth.training.denoiser import DenoiserConfig, DenoiserStage
from flowsynth.training.export import export_family
from flowsynth.training.latents import StyleData, normalise
from flowsynth.training.looks import LOOKS
from flowsynth.training.loop import LoopConfig, Trainer
from flowsynth.training.lora import LoraConfig, LoraStage
from flowsynth.training.motion import MotionConfig, MotionStage
from flowsynth.training.pictures import PictureConfig, load_pictures
from flowsynth.training.pools import ShapeData
from flowsynth.training.styled import StyledPicture, load_styled
from flowsynth.training.vae import VaeConfig, VaeStage

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusers import AutoencoderKL

log = logging.getLogger(__name__)

STAGES = ("vae", "decoder", "denoiser", "motion", "lora", "export", "evaluate")


class Training:
    """The stages over one work folder and one folder of configs.

    Args:
        work: Folder for downloads, caches and checkpoints.
        configs: Folder of ``pictures.yaml`` and one YAML file a stage.
        seconds: Time limit for a training stage; None trains to the end of its schedule.
    """

    def __init__(self, work: Path, configs: Path, seconds: float | None = None) -> None:
        self.work, self.configs, self.seconds = work, configs, seconds

    def config(self, name: str) -> dict[str, Any]:
        """Reads one YAML file."""
        from omegaconf import OmegaConf

        loaded = OmegaConf.to_container(OmegaConf.load(self.configs / f"{name}.yaml"))
        assert isinstance(loaded, dict)
        return {str(key): value for key, value in loaded.items()}

    @cached_property
    def picture_config(self) -> PictureConfig:
        """Where pictures come from."""
        return PictureConfig(**self.config("pictures"))

    @cached_property
    def pictures(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Training and held-out pictures by name."""
        return load_pictures(self.picture_config, self.work / "data")

    def styled(self, short_sides: tuple[int, ...]) -> list[StyledPicture]:
        """Training pictures in all styles."""
        return load_styled(self.pictures[0], short_sides, self.work / "data")

    def _split(self, name: str) -> tuple[dict[str, Any], LoopConfig]:
        config = self.config(name)
        return config, LoopConfig(**config.pop("loop"))

    def vae_trainer(self, **changes: Any) -> Trainer[VaeStage]:
        """Stage 1 at its last checkpoint, some fields of its config changed."""
        fields, loop = self._split("vae")
        config = VaeConfig(**{**fields, **changes})
        torch.manual_seed(loop.seed)
        stage = VaeStage(config, self.pictures[0], self.styled(config.styled_short_sides))
        return Trainer(stage, loop, self.work / "vae")

    def decoder_trainer(self) -> Trainer[DecoderStage]:
        """Stage 1b at its last checkpoint, on the finished encoder."""
        fields, loop = self._split("decoder")
        weight = float(fields.pop("perceptual_weight"))
        source = self.vae_trainer(**fields)
        source.load_average()
        return Trainer(DecoderStage(source.stage, weight, self.work / "data"), loop, self.work / "decoder")

    @cached_property
    def finished_vae(self) -> AutoencoderKL:
        """The autoencoder with averaged weights and normalised latents."""
        trainer = self.decoder_trainer()
        trainer.load_average()
        source = trainer.stage.source
        return normalise(source.vae, [*source.levels[::3], *source.styled[::11]])

    def denoiser_trainer(self) -> Trainer[DenoiserStage]:
        """Stage 2 at its last checkpoint, or with a freshly fitted tile embedding and text encoder."""
        fields, loop = self._split("denoiser")
        config = DenoiserConfig(**fields)
        styled = self.styled(config.short_sides)
        styles = StyleData(self.finished_vae, styled, self._subjects(config), self.work / "data")
        shapes = ShapeData(self.finished_vae, config.shapes, config.crop, loop.seed)
        torch.manual_seed(loop.seed)  # last, so that what is cached doesn't matter
        stage = DenoiserStage(config, vocabulary(self.picture_config.subjects), styles, shapes)
        fresh = not (self.work / "denoiser" / "checkpoint.safetensors").exists()
        if fresh:
            log.info("tile embedding explains %.0f %% of the latents", 100 * stage.prefit(loop.seed))
            log.info("captions read without a fault: %.0f %%", 100 * stage.pretrain_text(loop.seed))
        return Trainer(stage, loop, self.work / "denoiser")

    def _subjects(self, config: DenoiserConfig) -> list[str]:
        return [
            subject_of(name, self.picture_config.subjects)
            for name, picture in self.pictures[0].items()
            for side in config.short_sides
            if side <= min(picture.shape[:2])
        ]

    def _finished_denoiser(self) -> DenoiserStage:
        """The denoiser with its averaged weights; each stage on top of it changes its own copy."""
        denoiser = self.denoiser_trainer()
        denoiser.load_average()
        return denoiser.stage

    def motion_trainer(self) -> Trainer[MotionStage]:
        """Stage 3 at its last checkpoint, on the finished denoiser."""
        fields, loop = self._split("motion")
        vae, denoiser = self.finished_vae, self._finished_denoiser()
        torch.manual_seed(loop.seed)
        stage = MotionStage(MotionConfig(**fields), vae, denoiser)
        return Trainer(stage, loop, self.work / "motion")

    def lora_trainer(self, look: str) -> Trainer[LoraStage]:
        """Stage 4 for one look at its last checkpoint, on the finished denoiser."""
        fields, loop = self._split("lora")
        vae, denoiser = self.finished_vae, self._finished_denoiser()
        torch.manual_seed(loop.seed)
        stage = LoraStage(LoraConfig(**fields), look, vae, denoiser)
        return Trainer(stage, loop, self.work / f"lora_{look}")

    def export(self, target: Path, card: Path) -> int:
        """Writes the family to a folder; returns its size in bytes."""
        for look in LOOKS:
            lora = self.lora_trainer(look)
            lora.load_average()
            lora.stage.export(target / f"lora_{look}")
        trainer = self.motion_trainer()
        trainer.load_average()
        stage = trainer.stage
        return export_family(target, self.finished_vae, stage.denoiser, stage.export(), card)

    def run(self, stage: str, target: Path, card: Path) -> None:
        """Runs one stage by name."""
        if stage == "export":
            log.info("wrote %.1f MiB to %s", self.export(target, card) / 2**20, target)
        elif stage == "evaluate":
            from flowsynth.training.evaluate import evaluate

            evaluate(target, self.pictures[1], self.work / "evaluation")
        elif stage == "lora":
            for look in LOOKS:
                self.lora_trainer(look).run(seconds=self.seconds)
        else:
            trainers: dict[str, Callable[[], Trainer[Any]]] = {
                "vae": self.vae_trainer,
                "decoder": self.decoder_trainer,
                "denoiser": self.denoiser_trainer,
                "motion": self.motion_trainer,
            }
            trainers[stage]().run(seconds=self.seconds)


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line and runs a stage, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument(
        "--work", type=Path, default=Path("training-runs/pocket"), help="checkpoints and caches"
    )
    parser.add_argument("--config", type=Path, default=Path("conf/training/pocket"))
    parser.add_argument("--target", type=Path, default=Path("flowsynth/assets/pocket"))
    parser.add_argument("--card", type=Path, default=Path("flowsynth/assets/pocket"))
    parser.add_argument("--seconds", type=float, help="time limit of a training stage")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(args.threads)
    for stage in STAGES if args.stage == "all" else (args.stage,):
        # Caches of one stage must not outlive it: the next one reads the finished weights.
        Training(args.work, args.config, args.seconds).run(stage, args.target, args.card)


if __name__ == "__main__":
    main()
