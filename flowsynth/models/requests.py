"""What operators ask of a loaded model, whatever its family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import torch

#: ``(start, stop) -> (stop - start) x 3 x H x W`` in [0, 1]: frames are read when a window needs them.
FrameReader: TypeAlias = Callable[[int, int], "torch.Tensor"]
NoiseMode: TypeAlias = Literal["auto", "shared", "independent"]
SpacingMode: TypeAlias = Literal["scheduler", "diffutoon"]


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """What a model's latents look like.

    Attributes:
        space: name of the latent space.
        factor: pixels along the side of a latent pixel.
        channels: channels of the latents.
    """

    space: str
    factor: int
    channels: int


def _nothing() -> None:
    return None


def _ignore_progress(_step: int, _total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DenoiseSettings:
    """Everything about a call that is a number or a choice.

    Attributes:
        num_inference_steps: steps of the scheduler.
        guidance_scale: classifier-free guidance; at most 1 turns it off.
        guidance_rescale: phi of arXiv 2305.08891, section 3.4; 0 is off.
        eta: eta of DDIM and TCD.
        strength: share of the noise put on the initial latents, in [0, 1]; unused without them.
        seed: one seed, or one a frame.
        noise: see :func:`flowsynth.models.diffusion.noise.make_generators`.
        window: frames the UNet sees at once.
        stride: step between windows; at most ``window``.
        window_batch: windows in one forward pass.
        timestep_spacing: the scheduler's, or Diffutoon's.
    """

    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    guidance_rescale: float = 0.0
    eta: float = 0.0
    strength: float = 1.0
    seed: int | tuple[int, ...] = 0
    noise: NoiseMode = "auto"
    window: int = 16
    stride: int = 8
    window_batch: int = 1
    timestep_spacing: SpacingMode = "scheduler"


@dataclass(frozen=True, slots=True)
class Hooks:
    """Progress and cancellation.

    Attributes:
        progress: called with (steps done, steps in all) after every step.
        check: called before every pass of a network; raises to cancel.
    """

    progress: Callable[[int, int], None] = _ignore_progress
    check: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One control: the ControlNet's name and how it acts."""

    name: str
    frames: FrameReader
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class DeflickerRequest:
    """Smoothing of the predicted clean frames at some steps (DiffSynth, arXiv 2308.03463).

    Attributes:
        steps: which, from 0 among those that run.
        smooth: T x 3 x H x W, float32 in [0, 1], to the same.
        size: (H, W) of the frames; what the latents hold beyond is padding.
    """

    steps: frozenset[int]
    smooth: Callable[[torch.Tensor], torch.Tensor]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DenoiseRequest:
    """A denoising call on a loaded model; what every family with that verb takes."""

    shape: tuple[int, int, int, int]
    prompt: torch.Tensor
    negative: torch.Tensor | None
    settings: DenoiseSettings
    hooks: Hooks | None = None
    init: torch.Tensor | None = None
    controls: Sequence[ControlRequest] = ()
    scheduler: str | None = None
    scheduler_options: Mapping[str, Any] | None = None
    deflicker: DeflickerRequest | None = None


def travel(states: torch.Tensor, frames: Sequence[int], count: int) -> torch.Tensor:
    """Interpolate keyed prompts to one state a frame, linearly in time.

    Args:
        states: K x L x D, those of the keyed prompts.
        frames: their K frames, rising; before the first and after the last the state stands still.
        count: T, frames of the clip.

    Returns:
        T x L x D; 1 x L x D for a single prompt.
    """
    import torch

    if len(frames) == 1:
        return states
    rows = []
    for t in range(count):
        right = next((k for k, frame in enumerate(frames) if frame > t), len(frames))
        if right in (0, len(frames)):
            rows.append(states[min(right, len(frames) - 1)])
            continue
        left = right - 1
        share = (t - frames[left]) / (frames[right] - frames[left])
        rows.append(torch.lerp(states[left], states[right], share))
    return torch.stack(rows)
