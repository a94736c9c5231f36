"""Denoise latents under a prompt, controls and motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, GraphError
from flowsynth.core.operator import Operator
from flowsynth.functional.cut.threshold import CUT
from flowsynth.models import Model
from flowsynth.models.protocol import Denoises
from flowsynth.models.requests import DeflickerRequest, DenoiseRequest, DenoiseSettings, Hooks
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import MOTION
from flowsynth.operators.diffusion._apart import (
    apart_faults,
    each_picture,
    require_one_prompt,
    seed_of,
    within,
)
from flowsynth.operators.diffusion._denoise import (
    control_reader,
    frame_size,
    guide_faults,
    number_faults,
    require_family,
    require_frames,
)
from flowsynth.operators.diffusion._models import counts, model_faults, require_space
from flowsynth.values import Conditioning, Frames, Latents

if TYPE_CHECKING:
    import torch

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**64)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Denoise(Operator):
    """Run a diffusion model over latents.

    Empty latents become noise (text to image or video); others are noised to `strength` and denoised
    (image to image, video to video). For up to one window the result is bit-equal to that of diffusers'
    pipelines called with the same arguments; the tests hold it to that.

    **Any number of frames.** A model with motion modules sees `window` frames at a time. Windows start every
    `stride` frames; inside every step the noise of overlapping windows is averaged with triangular weights,
    then guidance is applied, then the scheduler steps (Diffutoon, arXiv 2401.16224). Without motion modules a
    frame's noise does not depend on its neighbours, and `window` only bounds how many go through at once.
    Family `diffusers` does the same around any denoiser of clips (Wan, CogVideoX, LTX, HunyuanVideo, ...),
    where `window` is given; the memory that the network needs is then flat in the clip's length.

    **Noise** is drawn on the CPU from `seed`, or from one seed a frame; a null seed takes a new one every
    run, and is never cached. The scheduler's own noise follows the same rule.

    **Pictures of their own.** With `apart` no frame sees another: each is drawn by itself, the first from
    `seed`, the next from `seed + 1`, and is to the bit what a run of that seed alone gives. Of every clip
    given that has as many frames as the latents a picture gets its own frame.

    **Controls.** Each input of `control` goes to a ControlNet of the model, in the order of the spec, or to
    those that `controlnets` names. `control_scale`, `control_start` and `control_end` are one number for all
    or a list; start and end are shares of the steps. A control of one frame holds for the whole clip. The
    residuals of a frame are computed once a step, whatever the overlap of the windows. SparseCtrl takes a few
    key frames, which `options.controlnet_frame_indices` places in the clip.

    **Strength** counts as in diffusers: of `num_inference_steps` steps only the last `int(steps * strength)`
    run.

    **Options** are those that only this family of models has, such as its kinds of noise.

    **Deflicker.** At the steps of `deflicker`, such as 4, 9, 14, 19 of 20, the clean frames predicted so far
    are decoded, smoothed along time as `temporal_smooth` does, and encoded; the noise that leads to them
    takes the prediction's place (DiffSynth, arXiv 2308.03463). So frames agree before the last steps draw
    their detail. Latents move by what smoothing changes in the encoded frames: the VAE's own loss
    stays out. Shots stay apart if there is a guide.

    **Long work is not lost.** What each pass of a denoiser gives is written to the cache every two seconds of
    work. A run that was killed takes them from there and ends with the same bits; so do other jobs of a sweep
    for the steps before what they differ in begins to act, and ControlNets run again. What takes less than
    50 ms a pass keeps nothing.

    Inputs:
        model: gives UNet, motion modules, LoRAs, ControlNets and the default scheduler.
        latents: from `empty_latents` or `vae_encode`, of the model's own space.
        conditioning: from `text_encode` with the same family; optional where the family needs none.
        control: control maps, one clip a ControlNet, in the frames' size.
        guide: for deflicker, steady frames with the same motion, such as the source, in the frames' size.
        image: a picture to start from, to edit or to move; as the model's class takes it.
        last_image: the picture to end at.
        video: a clip to start from, or to edit.
        mask: where a picture or clip is drawn anew, white; for inpainting.
        reference: pictures of what is to be shown.
        image_prompt: pictures that take words' place (IP-Adapter).
        pose: a clip of poses to follow.
        face: a clip of a face to follow.

    Output:
        Latents like the input, not empty.

    Errors:
        Latents or conditioning of another family; controls that don't match the model's ControlNets, the
        number of frames or their size; a window past the motion adapter's table; an unknown scheduler; with
        deflicker a step that does not run, or a scheduler of two steps a timestep (heun, dpm2, dpmpp_sde).
    """

    op: ClassVar[str] = "denoise"
    version: ClassVar[int] = 1
    moved: ClassVar[Mapping[str, str]] = {
        name: f"options.{name}"
        for name in ("guidance_rescale", "eta", "noise", "timestep_spacing", "window_batch")
    }
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
    uses: ClassVar[tuple[object, ...]] = networks_code(MOTION)
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("denoiser", "vae")}

    num_inference_steps: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="steps of the scheduler; null takes the model family's own number",
    )
    guidance_scale: float | None = Field(
        default=None,
        ge=0,
        description="classifier-free guidance, off at 1; null takes the model family's own",
    )
    strength: Share | None = Field(
        default=None, description="share of noise on what is given; null takes the model family's own"
    )
    seed: Seed | tuple[Seed, ...] | None = Field(
        default=0, description="one, one a frame, or null for a new one"
    )
    apart: bool = Field(
        default=False,
        description="draw each frame by itself, a picture of its own: the next with the next seed",
    )
    scheduler: str | None = Field(default=None, description="name; null takes the model's")
    scheduler_options: dict[str, JsonValue] = Field(
        default_factory=dict, description="options of the scheduler's diffusers class"
    )
    window: int | None = Field(
        default=None, ge=1, description="frames at once; null takes the model family's own"
    )
    stride: int | None = Field(
        default=None, ge=1, description="frames between windows; null is half the window"
    )
    controlnets: tuple[str, ...] | None = Field(default=None, description="names for the controls, in order")
    control_scale: float | tuple[float, ...] = Field(default=1.0, description="weight of the controls")
    control_start: Share | tuple[Share, ...] = Field(
        default=0.0, description="share of steps before they act"
    )
    control_end: Share | tuple[Share, ...] = Field(default=1.0, description="share of steps until they stop")
    deflicker: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="steps, from 0 among those that run, at which the clean frames are smoothed"
    )
    deflicker_method: Literal["fastblend", "flow"] = Field(
        default="fastblend", description="of temporal_smooth, for deflicker"
    )
    deflicker_radius: int = Field(
        default=8, ge=1, le=120, description="neighbours on either side, for deflicker"
    )
    deflicker_detail: float = Field(
        default=2.0, ge=0, le=100, description="size of the detail that deflicker leaves alone, pixels"
    )
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the model family's own")

    def cacheable(self) -> bool:
        """A null seed gives another result every time."""
        return self.seed is not None

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """What does not fit each other, and what the model cannot do."""
        return [*self._faults(inputs), *model_faults(self._settings(), inputs)]

    def _faults(self, inputs: Mapping[str, Any]) -> list[Fault]:
        return [
            *number_faults(self._settings(), counts(inputs).get("control", 0)),
            *guide_faults(self.deflicker, "guide" in inputs),
            *(apart_faults(inputs, self.deflicker) if self.apart else ()),
        ]

    def run(
        self,
        ctx: RunContext,
        /,
        *,
        model: Model,
        latents: Latents,
        conditioning: Conditioning | None = None,
        control: list[Frames] | None = None,
        guide: Frames | None = None,
        image: Frames | None = None,
        last_image: Frames | None = None,
        video: Frames | None = None,
        mask: Frames | None = None,
        reference: list[Frames] | None = None,
        image_prompt: list[Frames] | None = None,
        pose: Frames | None = None,
        face: Frames | None = None,
    ) -> Latents:
        """Denoise all frames."""
        controls = control or []
        single = {
            "image": image,
            "last_image": last_image,
            "video": video,
            "mask": mask,
            "pose": pose,
            "face": face,
        }
        pictures = {port: [clip] for port, clip in single.items() if clip is not None}
        several = {"control": controls, "reference": reference, "image_prompt": image_prompt}
        pictures |= {port: clips for port, clips in several.items() if clips}
        given: dict[str, object] = {"latents": latents, "conditioning": conditioning, **pictures}
        if guide is not None:
            given["guide"] = guide
        if faults := self._faults(given):
            raise GraphError(faults, self.op)
        settings = self._settings(ctx)
        loaded = model.open(ctx, settings, counts(given))
        if not isinstance(loaded, Denoises):
            raise model.broken(self.op)
        require_space(latents, model.latent_format(offline=ctx.offline).space, self.op)
        require_family(conditioning, model.family)
        if not self.apart:
            asked = DenoiseRequest(settings, latents, conditioning, [], pictures)
            return self._drawn(ctx, model, loaded, asked, guide)
        require_one_prompt(conditioning)
        seeds = self._seed(ctx)
        parts = []
        for index, (own, clips) in enumerate(each_picture(latents, pictures)):
            of_it = replace(settings, seed=seed_of(seeds, index))
            asked = DenoiseRequest(of_it, own, conditioning, [], clips)
            parts.append(self._drawn(within(ctx, index, latents.num_frames), model, loaded, asked, None))
        return Latents.concat(parts)

    def _drawn(
        self, ctx: RunContext, model: Model, loaded: Denoises, asked: DenoiseRequest, guide: Frames | None
    ) -> Latents:
        """What the model makes of a request, its controls, smoothing and hooks filled in."""
        latents, factor = asked.latents, model.latent_format(offline=ctx.offline).factor
        keys = model.control_frames(asked.settings)
        readers = [
            control_reader(f"control[{i}]", clip, latents, factor, keys)
            for i, clip in enumerate(asked.pictures.get("control", ()))
        ]
        smoothing = self._deflicker(ctx, latents, guide, factor) if self.deflicker else None
        look = partial(ctx.look, latents.space)
        hooks = Hooks(ctx.progress, ctx.check_cancelled, ctx.note, ctx.kept, ctx.portions, look)
        made = loaded.denoise(replace(asked, controls=readers, deflicker=smoothing, hooks=hooks))
        return made.with_data(made.tensor.to(latents.tensor.device).contiguous())

    def _seed(self, ctx: RunContext | None) -> int | tuple[int, ...]:
        """The seed, or those of the frames; with a context, a null one is drawn and told."""
        if self.seed is not None:
            return self.seed
        return 0 if ctx is None else self._new_seed(ctx)

    def _settings(self, ctx: RunContext | None = None) -> DenoiseSettings:
        """What the parameters ask of the model; of pictures of their own, of the first."""
        seed = self._seed(None if self.apart else ctx)
        return DenoiseSettings(
            options=self.options,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            strength=self.strength,
            seed=seed_of(seed, 0) if self.apart else seed,
            scheduler=self.scheduler,
            scheduler_options=self.scheduler_options,
            window=self.window,
            stride=self.stride,
            controlnets=self.controlnets,
            control_scale=self.control_scale,
            control_start=self.control_start,
            control_end=self.control_end,
            deflicker=self.deflicker,
        )

    def _new_seed(self, ctx: RunContext) -> int:
        import secrets

        seed = secrets.randbelow(2**32)
        ctx.note(f"{ctx.node or self.op}: seed {seed}")
        return seed

    def _deflicker(
        self, ctx: RunContext, latents: Latents, guide: Frames | None, factor: int
    ) -> DeflickerRequest:
        from flowsynth.operators.motion.temporal_smooth import TemporalSmooth

        smoother = TemporalSmooth(
            method=self.deflicker_method,
            radius=self.deflicker_radius,
            detail=self.deflicker_detail,
            # Frames drawn out of independent noise look like shots of their own; only a guide tells cuts.
            cut=0 if guide is None else CUT,
        )
        size = frame_size(latents, factor)
        if guide is not None:
            require_frames(guide, latents, size, "the guide")

        whole = replace(ctx, span=None)

        def smooth(frames: torch.Tensor) -> torch.Tensor:
            return smoother.run(whole, frames=Frames(frames), guide=guide).tensor

        return DeflickerRequest(frozenset(self.deflicker), smooth, size)
