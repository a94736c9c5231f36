"""The training loop that all stages share: seeded, resumable, with moving-average weights."""

from __future__ import annotations

import csv
import json
import math
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor


class LoopConfig(BaseModel):
    """What every stage's loop takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(default=10_000, ge=1, description="optimiser steps of the whole schedule")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak of a cosine with warm-up")
    final_fraction: float = Field(default=0.05, ge=0, le=1, description="last learning rate over the peak")
    warmup: int = Field(default=200, ge=0, description="steps of linear warm-up")
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the averaged weights, per step")
    seed: int = 0
    checkpoint_seconds: float = Field(default=120.0, ge=0, description="time between checkpoints")
    bfloat16: bool = Field(default=True, description="autocast; pays where the CPU has AMX or AVX512-BF16")


class Stage(Protocol):
    """One network or group of networks, and its loss."""

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the scalar to minimise, and figures to log."""


StageT = TypeVar("StageT", bound=Stage)


class Trainer(Generic[StageT]):
    """Runs a stage from its last checkpoint to the end of its schedule.

    Randomness of a step depends on the seed and the step's number only, so an interrupted and
    resumed run makes the same steps as one that was never stopped.
    """

    def __init__(self, stage: StageT, config: LoopConfig, folder: Path) -> None:
        self.stage, self.config, self.folder = stage, config, folder
        self.parameters = {
            f"{name}.{key}": p for name, m in stage.modules().items() for key, p in m.named_parameters()
        }
        trained = [p for p in self.parameters.values() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
        )
        self.average = {key: p.detach().clone() for key, p in self.parameters.items()}
        self.step = 0
        self.path = folder / "checkpoint.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._resume()

    def rate(self) -> float:
        """Returns the learning rate of the current step: warm-up, then a cosine."""
        config = self.config
        warm = min(1.0, (self.step + 1) / (config.warmup + 1))
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / config.steps))
        return config.learning_rate * warm * (config.final_fraction + (1 - config.final_fraction) * cosine)

    def advance(self) -> dict[str, float]:
        """Makes one optimiser step and returns the figures of its loss."""
        seed = (self.config.seed << 32) + self.step
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16):
            loss, figures = self.stage.loss(np.random.default_rng(seed))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss.backward()
        trained = [p for p in self.parameters.values() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(trained, self.config.gradient_clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad()
        self._update_average()
        self.step += 1
        return {"loss": float(loss.detach()), "gradient": float(norm), **figures}

    def _update_average(self) -> None:
        # A short memory at first, so that the average doesn't remember the initial weights.
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        keys = list(self.parameters)
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.average[k] for k in keys], [self.parameters[k].detach() for k in keys], 1 - decay
            )

    def load_average(self) -> None:
        """Puts the averaged weights into the modules, for evaluation and export."""
        with torch.no_grad():
            for key, p in self.parameters.items():
                p.copy_(self.average[key])

    def save(self) -> None:
        """Writes weights, averages and optimiser state to one safetensors file, atomically."""
        tensors = {f"weight.{k}": p.detach().contiguous() for k, p in self.parameters.items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in self.average.items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v.contiguous() for k, v in slots.items()}
        temporary = self.path.with_suffix(".tmp")
        save_file(tensors, temporary, metadata={"step": str(self.step)})
        temporary.replace(self.path)

    def _resume(self) -> None:
        with safe_open(self.path, framework="pt") as stored:
            self.step = int(stored.metadata()["step"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        with torch.no_grad():
            for key, p in self.parameters.items():
                p.copy_(tensors[f"weight.{key}"])
                self.average[key].copy_(tensors[f"average.{key}"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, slot = name.split(".")
                slots.setdefault(int(index), {})[slot] = value
        state = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})

    def run(self, until: int | None = None, seconds: float | None = None) -> None:
        """Trains to a step (default: the schedule's end) or for a time, saving on the way.

        Args:
            until: Step to stop at.
            seconds: Wall-clock limit of this call.
        """
        from flowsynth.training.progress import TrainingProgress, plot_losses

        end = self.config.steps if until is None else min(until, self.config.steps)
        began = saved = time.monotonic()
        with TrainingProgress(self.folder.name, self.step, end) as progress, stop_requests() as stop:
            while self.step < end and not stop and (seconds is None or time.monotonic() - began < seconds):
                figures = self.advance()
                progress.update(figures)
                if self.step % 50 == 0:
                    self._log(progress.means(), time.monotonic() - began)
                if time.monotonic() - saved > self.config.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()
        plot_losses(self.folder / "losses.csv", self.folder / "losses.png")

    def _log(self, figures: dict[str, float], seconds: float) -> None:
        path = self.folder / "losses.csv"
        row = {
            "step": self.step,
            "seconds": round(seconds, 1),
            **{k: round(v, 6) for k, v in figures.items()},
        }
        columns = path.read_text().partition("\n")[0].split(",") if path.exists() else list(row)
        with path.open("a", newline="") as handle:
            # Figures may come and go with the configuration; the table keeps its columns.
            writer = csv.DictWriter(
                handle, columns, restval="nan", extrasaction="ignore", lineterminator="\n"
            )
            if not handle.tell():
                writer.writeheader()
            writer.writerow(row)
        (self.folder / "latest.json").write_text(json.dumps(row))


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list, so that a step is never cut in two."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, _: received.append(number)) for kind in kinds]
    try:
        yield received
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
