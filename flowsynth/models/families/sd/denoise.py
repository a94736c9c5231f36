"""The denoising loop of the Stable Diffusion 1.x and 2.x family: one loop for images, clips and long videos.

For up to one window it makes the same calls in the same order as diffusers' pipelines, so its result is
bit-equal to theirs; the tests hold it to that for every kind of call.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.brownian import seed_path
from flowsynth.models.diffusion.consistent import Sample, put_consistent
from flowsynth.models.diffusion.control import Control, split_first
from flowsynth.models.diffusion.deep_cache import put_deep_cache
from flowsynth.models.diffusion.noise import Generators, draw_noise, make_generators
from flowsynth.models.diffusion.passes import Passes
from flowsynth.models.diffusion.sharing import sharing_copy
from flowsynth.models.diffusion.timesteps import set_timesteps
from flowsynth.models.diffusion.windows import Prediction, predict_noise, window_spans
from flowsynth.models.diffusion.x0 import (
    CleanEdit,
    edited_output,
    level_at,
    require_plain,
    require_steps,
)
from flowsynth.models.families.sd.options import SdDenoiseOptions, numbers
from flowsynth.models.families.sd.partial import Kept, mask_of, some_steps
from flowsynth.models.families.sd.regional import Regions, predict_regions
from flowsynth.models.requests import DenoiseSettings, Hooks

if TYPE_CHECKING:
    import torch

#: Frames that a UNet without motion modules gets at once on a CPU: with more its maps leave the caches.
_FRAMES_ON_CPU = 4


@dataclass(frozen=True, slots=True)
class DenoiseInputs:
    """What a call works on.

    Attributes:
        unet: ``UNet2DConditionModel`` or ``UNetMotionModel``.
        scheduler: a fresh scheduler.
        shape: (T, C, h, w) of the latents.
        prompt: T x L x D, or 1 x L x D for all frames.
        negative: the same of the negative prompt; may be None without guidance.
        init: clean latents T x C x h x w for image-to-image, else None.
        controls: ControlNets in order.
        clean_edit: what becomes of the predicted clean latents at some steps; None leaves them.
        interval: the UNet's deep blocks run at each step that is a multiple of it; 0 leaves the UNet alone.
        regions: several prompts, each for its part; None where one on each side is for the whole.
        mask: T or 1 x 1 x H x W, 1 where the initial latents are drawn anew; None draws all.
    """

    unet: Any
    scheduler: Any
    shape: tuple[int, int, int, int]
    prompt: torch.Tensor
    negative: torch.Tensor | None = None
    init: torch.Tensor | None = None
    controls: Sequence[Control] = ()
    clean_edit: CleanEdit | None = None
    interval: int = 0
    regions: Regions | None = None
    mask: torch.Tensor | None = None


def denoise(
    inputs: DenoiseInputs,
    settings: DenoiseSettings,
    hooks: Hooks | None = None,
    options: SdDenoiseOptions | None = None,
) -> torch.Tensor:
    """Denoise latents.

    Args:
        inputs: networks, text, controls and initial latents.
        settings: numbers and choices.
        hooks: progress and cancellation.
        options: those of this family.

    Returns:
        Latents T x C x h x w in the scheduler's scale (divide by the VAE's ``scaling_factor`` to decode).

    Raises:
        RequestError: more frames a window than the motion modules know, seeds that don't match the frames, a
            stride above the window, an edit of the clean latents at a step that does not run.
    """
    import torch

    with torch.no_grad():
        return _Run(inputs, settings, hooks or Hooks(), options or SdDenoiseOptions()).loop()


class _Run:
    """One call's state: scheduler, generators and text, in the layout that diffusers' pipelines use."""

    def __init__(
        self, inputs: DenoiseInputs, settings: DenoiseSettings, hooks: Hooks, options: SdDenoiseOptions
    ) -> None:
        self.inputs, self.settings, self.hooks, self.options = inputs, settings, hooks, options
        self.unet = inputs.unet
        check_inputs(inputs)
        self.device, self.dtype = inputs.prompt.device, inputs.prompt.dtype
        self.motion = is_motion_unet(self.unet)
        self.frames = inputs.shape[0]
        self.numbers = numbers(settings)
        self.guided = self.numbers.guidance_scale > 1 and self.unet.config.time_cond_proj_dim is None
        strength = None if inputs.init is None else self.numbers.strength
        self.scheduler, self.timesteps = set_timesteps(
            inputs.scheduler,
            self.numbers.num_inference_steps,
            strength,
            options.timestep_spacing,
            self.device,
        )
        self.steps = some_steps(self.scheduler, self.timesteps, options)
        self.timesteps = self.steps.timesteps
        self.generators = make_generators(settings.seed, self.frames, options.noise, self.motion)
        self.passes = Passes(None if inputs.interval else hooks.kept)  # what is skipped depends on others
        self.job = self._prediction()
        if inputs.clean_edit is not None and len(self.timesteps):
            require_plain(self.scheduler)
            require_steps(inputs.clean_edit.steps, len(self.timesteps))

    def loop(self) -> torch.Tensor:
        """All steps."""
        steps = len(self.timesteps)
        if steps == 0 and self.inputs.init is not None:
            numbers = self.numbers
            if numbers.strength > 0:
                share = f"strength {numbers.strength:g} of {numbers.num_inference_steps} steps"
                self.hooks.note(f"{share} is less than one step: the latents stay as they are")
            return self.inputs.init
        latents, kept = self._start()
        extra = step_arguments(self.scheduler, self.options.eta, self.generators)
        seed_path(self.scheduler, self.generators, latents)
        for i, t in enumerate(self.timesteps):
            noise = self._predict(latents, t, i, steps)
            if self.inputs.clean_edit is not None and i in self.inputs.clean_edit.steps:
                noise = self._with_clean_edited(self.inputs.clean_edit, noise, latents, t, i)
            self.hooks.look(partial(self._seen, noise, latents, i))
            if self.steps.cut_short(i):
                latents = self.steps.clean(noise, latents, i)
            else:
                latents = self.scheduler.step(noise, t, latents, **extra, return_dict=False)[0]
            if kept is not None:
                latents = self._layout(kept.put_back(self._frames_first(latents), self.steps, i))
            self.hooks.progress(i + 1, steps)
        self.passes.done()
        return self.steps.handed_on(self._frames_first(latents))

    def _seen(self, noise: torch.Tensor, latents: torch.Tensor, step: int) -> torch.Tensor:
        """What the prediction says is behind the noise, for whoever looks: T x C x h x w."""
        return self._frames_first(self.steps.clean(noise, latents, step))

    def _prediction(self) -> Prediction:
        window = min(self.numbers.window, self.frames)
        together = self.motion or self.options.consistent > 0
        if self.motion:
            check_window(self.unet, window)
        elif not together and self.settings.window is None and self.device.type == "cpu":
            window = min(window, _FRAMES_ON_CPU)
        if not together:
            window = self.hooks.portions.of(window)
        # Where a frame's noise does not depend on its neighbours no overlap is needed.
        stride = self.numbers.stride if together else window
        unet, name = self._varied()
        return Prediction(
            unet=self.passes.through(name, unet, type(unet).__module__),
            motion=self.motion,
            text=self._text(),
            timestep_cond=self._timestep_cond(),
            spans=window_spans(self.frames, window, stride),
            window_batch=self.hooks.portions.of(self.options.window_batch) if self.motion else 1,
            check=self.hooks.check,
        )

    def _varied(self) -> tuple[Any, str]:
        """The UNet as it is to run, and its name among kept passes: the base belongs to all calls."""
        if not self.options.consistent and not self.inputs.interval:
            return self.unet, "unet"
        unet = sharing_copy(self.unet)
        if self.inputs.interval:
            put_deep_cache(unet, self.inputs.interval)
        return (unet, self._put_together(unet)) if self.options.consistent else (unet, "unet")

    def _put_together(self, unet: Any) -> str:
        """Have self-attention go across the frames of a pass; the UNet's name among kept passes."""
        options, seed = self.options, self.settings.seed
        groups = 2 if self.guided else 1
        sample = Sample(
            options.consistent,
            options.consistent_layers,
            seed if isinstance(seed, int) else seed[0],
            lambda batch: batch // groups,
        )
        put_consistent(unet, sample)
        return f"unet {sample.name}"

    def _text(self) -> torch.Tensor:
        import torch

        prompt, negative = self.inputs.prompt, self.inputs.negative
        parts = [prompt]
        if self.guided:
            if negative is None:
                raise RequestError("guidance_scale above 1 needs a negative conditioning")
            parts = [negative, prompt]
        if all(part.shape[0] == 1 for part in parts):  # one prompt for all frames: no copy a frame
            return torch.stack(parts).expand(-1, self.frames, -1, -1)
        return torch.stack([part.expand(self.frames, -1, -1) for part in parts])

    def _timestep_cond(self) -> torch.Tensor | None:
        """Embedding of the guidance scale, for UNets distilled to take it (LCM, arXiv 2310.04378)."""
        width = self.unet.config.time_cond_proj_dim
        if width is None:
            return None
        import torch
        from diffusers import StableDiffusionPipeline

        scale = torch.tensor([self.numbers.guidance_scale - 1])
        embedding = StableDiffusionPipeline.get_guidance_scale_embedding(None, scale, embedding_dim=width)
        moved: torch.Tensor = embedding.to(device=self.device, dtype=self.dtype)
        return moved

    def _start(self) -> tuple[torch.Tensor, Kept | None]:
        """Latents at the first timestep, T x C x h x w, or 1 x C x T x h x w with motion modules.

        Beside them what a mask leaves alone, if there is one.
        """
        init = self.inputs.init
        if init is None:
            noise = draw_noise(self._layout_shape(), self.generators, self.device, self.dtype)
            return noise * self.scheduler.init_noise_sigma, None
        # A convolution's last bits depend on its input's memory format, and VAEs give channels-last.
        init = init.to(device=self.device, dtype=self.dtype).contiguous()
        # AnimateDiff's video-to-video draws its noise frame after frame, its text-to-video in C x T order.
        noise = draw_noise(self.inputs.shape, self.generators, self.device, self.dtype)
        if not self.options.add_noise:
            noise = noise * 0
            noisy = self.steps.taken_over(init)
        else:
            noisy = self._noised(init, noise)
        kept = None
        if self.inputs.mask is not None:
            mask = mask_of(self.inputs.mask, (init.shape[-2], init.shape[-1]), init)
            kept = Kept(init, mask, noise)
        return self._layout(noisy), kept

    def _noised(self, init: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        start = self.timesteps[:1].repeat(self.frames)
        if not hasattr(self.scheduler, "add_noise"):
            raise RequestError(
                f"denoise: scheduler {type(self.scheduler).__name__} starts from noise alone;"
                " expected one for given latents, such as ddim, euler or dpmpp_2m"
            )
        noisy: torch.Tensor = self.scheduler.add_noise(init, noise, start)
        return noisy

    def _layout(self, latents_TCHW: torch.Tensor) -> torch.Tensor:
        return latents_TCHW[None].transpose(1, 2) if self.motion else latents_TCHW

    def _layout_shape(self) -> tuple[int, ...]:
        frames, channels, height, width = self.inputs.shape
        return (1, channels, frames, height, width) if self.motion else self.inputs.shape

    def _frames_first(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[0].transpose(0, 1) if self.motion else latents

    def _predict(self, latents: torch.Tensor, t: torch.Tensor, step: int, steps: int) -> torch.Tensor:
        import torch

        doubled = torch.cat([latents] * 2) if self.guided else latents
        scaled = self.scheduler.scale_model_input(doubled, t)
        sample_GTCHW = scaled.transpose(1, 2) if self.motion else split_first(scaled, -1, self.frames)
        factors = [(control, control.scale_at(step, steps)) for control in self.inputs.controls]
        active = [(control, factor) for control, factor in factors if factor != 0.0]
        if (regions := self.inputs.regions) is not None:
            sides, at = regions.sides(self.guided), (t, step, steps)
            noise_GTCHW = predict_regions(self.job, sides, active, at, sample_GTCHW[0], regions.factor)
        else:
            noise_GTCHW = predict_noise(self.job, active, t, sample_GTCHW)
        guided = self._guide(noise_GTCHW)
        return guided[None].transpose(1, 2) if self.motion else guided

    def _with_clean_edited(
        self, clean: CleanEdit, output: torch.Tensor, latents: torch.Tensor, t: torch.Tensor, step: int
    ) -> torch.Tensor:
        """The guided output, changed so that it leads to the edited clean latents."""
        begin = len(self.scheduler.timesteps) - len(self.timesteps)
        level = level_at(self.scheduler, begin + step, t)
        sample = self.scheduler.scale_model_input(latents, t)
        kind = self.scheduler.config.prediction_type
        frames = self._frames_first(output), self._frames_first(sample)
        changed = edited_output(*frames, level, kind, clean.edit)
        return changed[None].transpose(1, 2) if self.motion else changed

    def _guide(self, noise_GTCHW: torch.Tensor) -> torch.Tensor:
        if not self.guided:
            return noise_GTCHW[0]
        uncond, text = noise_GTCHW[0], noise_GTCHW[1]
        guided = uncond + self.numbers.guidance_scale * (text - uncond)
        if self.options.guidance_rescale > 0:
            return rescale_guidance(guided, text, self.options.guidance_rescale)
        return guided


def rescale_guidance(guided: torch.Tensor, text: torch.Tensor, phi: float) -> torch.Tensor:
    """Bring the guided noise back to the text noise's deviation (arXiv 2305.08891, equations 15 and 16).

    Args:
        guided: T x C x h x w after guidance.
        text: the same before it, conditional.
        phi: share of the rescaled result.
    """
    dims = list(range(1, text.ndim))
    rescaled = guided * (text.std(dim=dims, keepdim=True) / guided.std(dim=dims, keepdim=True))
    return phi * rescaled + (1 - phi) * guided


def step_arguments(scheduler: Any, eta: float, generators: Generators) -> dict[str, Any]:
    """The optional arguments that this scheduler's ``step`` takes."""
    known = inspect.signature(scheduler.step).parameters
    given = {"eta": eta, "generator": generators}
    return {name: value for name, value in given.items() if name in known}


def is_motion_unet(unet: Any) -> bool:
    """Whether a UNet takes clips instead of single frames."""
    return "motion_max_seq_length" in unet.config


def check_inputs(inputs: DenoiseInputs) -> None:
    """Raise unless latents and text states fit the UNet.

    Raises:
        RequestError: other channels (an inpainting or depth UNet, say), or states of another text encoder.
    """
    config = inputs.unet.config
    if config.in_channels != inputs.shape[1]:
        raise RequestError(
            f"the UNet takes {config.in_channels} channels, the latents have {inputs.shape[1]};"
            " inpainting, depth and instruction UNets are not supported"
        )
    width, given = config.cross_attention_dim, inputs.prompt.shape[-1]
    if isinstance(width, int) and width != given:
        raise RequestError(
            f"the UNet takes text states of {width} values, the conditioning has {given};"
            " it was encoded by another model"
        )


def check_window(unet: Any, window: int) -> None:
    """Raise unless the motion modules' position table reaches as far as the window.

    Raises:
        RequestError: it ends before.
    """
    limit = unet.config.motion_max_seq_length
    if window > limit:
        raise RequestError(
            f"window is {window} frames, but the motion adapter's position table ends at {limit};"
            f" set window to {limit} or less (longer videos run as overlapping windows)"
        )
