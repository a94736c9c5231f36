"""What of a verb is Stable Diffusion's own: written under ``params.options`` of a node."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field

from flowsynth.models.diffusion.consistent import LAYERS_TEXT, SHARE_TEXT, Layers, Share
from flowsynth.models.diffusion.noise import NoiseMode
from flowsynth.models.diffusion.timesteps import SpacingMode
from flowsynth.models.options import Options
from flowsynth.models.requests import DenoiseSettings

ClipSkip: TypeAlias = Annotated[int, Field(ge=0, le=11)]


class Numbers(NamedTuple):
    """The numbers of a denoising call, with this family's own where a node leaves them open."""

    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    strength: float = 1.0
    window: int = 16
    stride: int = 8


def numbers(settings: DenoiseSettings) -> Numbers:
    """The numbers of a call; the stride follows the window."""
    asked = {name: getattr(settings, name) for name in Numbers._fields}
    given = Numbers(**{name: value for name, value in asked.items() if value is not None})
    return given if settings.stride is not None else given._replace(stride=max(given.window // 2, 1))


class SdTextOptions(Options):
    """How prompts are read, and which layer's states are taken.

    `clip_skip` counts as diffusers does: 1 takes the layer before the last. It is one less than the "clip
    skip" of AUTOMATIC1111's web UI and of Diffutoon (arXiv 2401.16224): their 2 is 1 here.

    With `syntax: comfy`, round brackets alone weigh, the innermost number is the weight, states move away
    from those of the empty prompt, and words stay whole where a chunk of 75 tokens ends.
    """

    clip_skip: ClipSkip | None = Field(
        default=None, description="layers left out at the end; null takes the model's"
    )
    syntax: Literal["weights", "comfy", "plain"] = Field(
        default="weights",
        description="how brackets weigh words: as in AUTOMATIC1111's web UI, in ComfyUI, or not",
    )


class SdDenoiseOptions(Options):
    """What only this family's loop can do.

    `noise` is that of the frames: `auto` draws it per frame with motion modules, unless the model's
    `motion_noise` says `shared`, and repeats one sample over all frames without, where independent noise
    would flicker (Diffutoon, arXiv 2401.16224). With `timestep_spacing: diffutoon` all steps run, evenly from
    round(1000 strength) - 1 down to 0.

    With `consistent` above 0 a model without motion modules draws the frames of a window as pictures of one
    story: `window` and `stride` then act as with motion modules, and all frames of a window go through at
    once.

    `first_step`, `last_step`, `add_noise` and `leftover_noise` run a part of the steps, so that another model
    can go on: noise that is left is in the latents as x_0 + sigma eps, whatever the scheduler. Without
    `leftover_noise` the last step gives what it predicts to be clean.
    """

    guidance_rescale: Share = Field(default=0.0, description="phi of arXiv 2305.08891; 0 is off")
    eta: Share = Field(default=0.0, description="eta of ddim and tcd")
    noise: NoiseMode = Field(default="auto", description="noise of the frames")
    timestep_spacing: SpacingMode = Field(default="scheduler", description="which timesteps")
    window_batch: int = Field(default=1, ge=1, description="windows in one pass")
    first_step: int = Field(
        default=0, ge=0, le=1000, description="steps of the schedule that are left out before"
    )
    last_step: int | None = Field(default=None, ge=1, le=1000, description="step to stop before; null: none")
    add_noise: bool = Field(
        default=True, description="put noise on the given latents; false takes them as noisy"
    )
    leftover_noise: bool = Field(default=False, description="with last_step: leave the noise of that step in")
    consistent: Share = Field(default=0.0, description=SHARE_TEXT)
    consistent_layers: Layers = Field(default="up", description=LAYERS_TEXT)
