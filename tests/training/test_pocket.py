"""Every stage runs on generated pictures, resumes exactly, and exports what diffusers loads."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flowsynth.training.loop import Trainer
from flowsynth.training.networks import alphas_sigmas
from flowsynth.training.pocket import Training, main


def average(trainer: Trainer[Any]) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in trainer.average.items()}


@pytest.mark.sample(1)
@pytest.mark.parametrize("stage", ["vae", "denoiser"])
def test_a_resumed_run_equals_an_uninterrupted_one(training: Training, stage: str, tmp_path: Path) -> None:
    whole = getattr(training, f"{stage}_trainer")()
    whole.run()
    assert whole.step == 4
    other = Training(tmp_path / "other", training.configs)
    if stage == "denoiser":
        other.__dict__["finished_vae"] = training.finished_vae
    getattr(other, f"{stage}_trainer")().run(until=2)
    resumed = getattr(other, f"{stage}_trainer")()
    assert resumed.step == 2
    resumed.run()
    expected, found = average(whole), average(resumed)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6)


def test_training_changes_the_weights(training: Training) -> None:
    trainer = training.vae_trainer()
    before = {key: p.detach().clone() for key, p in trainer.parameters.items()}
    figures = trainer.advance()
    assert np.isfinite(figures["loss"])
    assert any(not torch.equal(before[key], p) for key, p in trainer.parameters.items())


def test_a_stop_request_ends_a_run_at_a_whole_step(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    trainer = training.vae_trainer()
    advance = trainer.advance

    def interrupted() -> dict[str, float]:
        figures = advance()
        os.kill(os.getpid(), signal.SIGTERM)
        return figures

    monkeypatch.setattr(trainer, "advance", interrupted)
    trainer.run()
    assert trainer.step == 1
    assert training.vae_trainer().step == 1


def test_the_loss_table_keeps_its_columns_when_figures_change(training: Training) -> None:
    trainer = training.vae_trainer()
    trainer._log({"loss": 1.0, "drawings": 2.0}, 1.0)
    trainer._log({"latents": 4.0, "loss": 3.0}, 2.0)
    with (trainer.folder / "losses.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["loss"] for row in rows] == ["1.0", "3.0"]
    assert [row["drawings"] for row in rows] == ["2.0", "nan"]
    assert "latents" not in rows[0]


def test_blank_rows_start_from_noise_alone_at_the_last_step(trained: Training) -> None:
    stage = trained.denoiser_trainer().stage
    stage.config = stage.config.model_copy(update={"blank_share": 1.0, "lines_blank_share": 1.0})
    seen = []
    stage.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[:2]))
    torch.manual_seed(0)
    stage.loss(np.random.default_rng(0))
    [(noisy, times)] = seen
    torch.manual_seed(0)
    torch.testing.assert_close(noisy, alphas_sigmas()[1][-1] * torch.randn(noisy.shape))
    assert times.tolist() == [999] * len(noisy)


def _with_lora(pipe: Any, folder: Path, scale: float) -> Any:
    pipe.load_lora_weights(folder, adapter_name="look", local_files_only=True)
    pipe.set_adapters("look", scale)
    seed = torch.Generator().manual_seed(0)
    made = pipe(
        "a red circle", height=32, width=32, num_inference_steps=2, output_type="np", generator=seed
    ).images[0]
    pipe.unload_lora_weights()
    return made


def test_all_stages_end_in_a_folder_that_diffusers_loads(training: Training, tmp_path: Path) -> None:
    from diffusers import ControlNetModel, MotionAdapter, StableDiffusionPipeline

    target, card = tmp_path / "family", tmp_path / "card"
    card.mkdir()
    (card / "README.md").write_text("a card")
    common = ["--work", str(training.work), "--config", str(training.configs)]
    main(["all", *common, "--target", str(target), "--card", str(card)])

    assert (target / "README.md").read_text() == "a card"
    assert {p.stat().st_mode & 0o777 for p in target.rglob("*") if p.is_file()} == {0o644}
    pipe = StableDiffusionPipeline.from_pretrained(target, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    seed = torch.Generator().manual_seed(0)
    made = pipe(
        "a red circle", height=32, width=32, num_inference_steps=2, output_type="np", generator=seed
    ).images
    assert made.shape == (1, 32, 32, 3)
    assert np.isfinite(made).all()
    for name in ("lines", "tile"):
        ControlNetModel.from_pretrained(target / f"controlnet_{name}", local_files_only=True)
    MotionAdapter.from_pretrained(target / "motion_adapter", local_files_only=True)
    made_with_lora = [_with_lora(pipe, target / "lora_sepia", scale) for scale in (0.0, 1.0)]
    np.testing.assert_allclose(made_with_lora[0], made[0], atol=1e-5)
    assert np.abs(made_with_lora[1] - made[0]).max() > 1e-4
    figures = json.loads((training.work / "evaluation" / "figures.json").read_text())
    assert set(figures["vae_db"]) == {"p0.png", "mean"}
    assert (training.work / "vae" / "checkpoint.safetensors").exists()


def test_motion_starts_from_the_two_dimensional_network(trained: Training) -> None:
    trained.denoiser_trainer().run()
    stage = trained.motion_trainer().stage
    latents = torch.randn(1, 4, 3, 8, 8)
    text = torch.randn(1, 77, 16)
    with torch.no_grad():
        moving = stage.unet(latents, 10, text.repeat_interleave(3, 0)).sample
        still = stage.denoiser.unet(latents[0].transpose(0, 1), 10, text.expand(3, -1, -1)).sample
    torch.testing.assert_close(moving[0].transpose(0, 1), still, rtol=1e-4, atol=1e-5)
