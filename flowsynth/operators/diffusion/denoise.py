"""Denoise latents under a prompt, controls and motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.operators.diffusion._denoise import (
    conditioning_states,
    control_faults,
    control_reader,
    deflicker_faults,
    frame_size,
    per_control,
    require_frames,
    scheduler_faults,
    window_faults,
)
from flowsynth.operators.diffusion._models import require_space, require_verb, spec_of
from flowsynth.values import Conditioning, Frames, Latents

if TYPE_CHECKING:
    import torch

    from flowsynth.models.requests import ControlRequest, DeflickerRequest, DenoiseSettings

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
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

    **Noise.** `auto` draws it per frame with motion modules, unless the model's `motion_noise` says `shared`,
    and repeats one sample over all frames without, where independent noise would flicker. The scheduler's own
    noise follows the same rule. It is drawn on the CPU from `seed`, or from one seed a frame; a null seed
    takes a new one every run, and is never cached.

    **Controls.** Each input of `control` goes to a ControlNet of the model, in the order of the spec, or to
    those that `controlnets` names. `control_scale`, `control_start` and `control_end` are one number for all
    or a list; start and end are shares of the steps. A control of one frame holds for the whole clip. The
    residuals of a frame are computed once a step, whatever the overlap of the windows.

    **Strength** counts as in diffusers: of `num_inference_steps` steps only the last `int(steps * strength)`
    run. With `timestep_spacing: diffutoon` all steps run, evenly from round(1000 strength) - 1 down to 0.

    **Deflicker.** At the steps of `deflicker`, such as 4, 9, 14, 19 of 20, the clean frames predicted so far
    are decoded, smoothed along time as `temporal_smooth` does, and encoded; the noise that leads to them
    takes the prediction's place (DiffSynth, arXiv 2308.03463). So frames agree before the last steps draw
    their detail. Latents move by what smoothing changes in the encoded frames: the VAE's own loss
    stays out. Shots stay apart if there is a guide.

    Inputs:
        model: gives UNet, motion modules, LoRAs, ControlNets and the default scheduler.
        latents: from `empty_latents` or `vae_encode`, of the model's own space.
        conditioning: from `text_encode` with the same family.
        control: control maps, one clip a ControlNet, in the frames' size.
        guide: for deflicker, steady frames with the same motion, such as the source, in the frames' size.

    Output:
        Latents like the input, not empty.

    Errors:
        Latents or conditioning of another family; controls that don't match the model's ControlNets, the
        number of frames or their size; a window past the motion adapter's table; an unknown scheduler; with
        deflicker a step that does not run, or a scheduler of two steps a timestep (heun, dpm2, dpmpp_sde).
    """

    op: ClassVar[str] = "denoise"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("denoiser", "vae")}

    num_inference_steps: int = Field(20, ge=1, le=1000, description="steps of the scheduler")
    guidance_scale: float = Field(7.5, ge=0, description="classifier-free guidance; 1 or less turns it off")
    guidance_rescale: Share = Field(0.0, description="phi of arXiv 2305.08891; 0 is off")
    strength: Share = Field(1.0, description="share of noise on given latents")
    seed: Seed | tuple[Seed, ...] | None = Field(0, description="one, one a frame, or null for a new one")
    noise: Literal["auto", "shared", "independent"] = Field("auto", description="noise of the frames")
    scheduler: str | None = Field(None, description="name; null takes the model's")
    scheduler_options: dict[str, JsonValue] = Field(
        default_factory=dict, description="options of the scheduler's diffusers class"
    )
    timestep_spacing: Literal["scheduler", "diffutoon"] = Field("scheduler", description="which timesteps")
    eta: float = Field(0.0, ge=0, le=1, description="eta of ddim and tcd")
    window: int = Field(16, ge=1, description="frames at once")
    stride: int | None = Field(None, ge=1, description="frames between windows; null is half the window")
    window_batch: int = Field(1, ge=1, description="windows in one pass")
    controlnets: tuple[str, ...] | None = Field(None, description="names for the controls, in order")
    control_scale: float | tuple[float, ...] = Field(1.0, description="weight of the controls")
    control_start: Share | tuple[Share, ...] = Field(0.0, description="share of steps before they act")
    control_end: Share | tuple[Share, ...] = Field(1.0, description="share of steps until they stop")
    deflicker: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="steps, from 0 among those that run, at which the clean frames are smoothed"
    )
    deflicker_method: Literal["fastblend", "flow"] = Field(
        "fastblend", description="of temporal_smooth, for deflicker"
    )
    deflicker_radius: int = Field(8, ge=1, le=120, description="neighbours on either side, for deflicker")
    deflicker_detail: float = Field(
        2.0, ge=0, le=100, description="size of the detail that deflicker leaves alone, pixels"
    )

    def cacheable(self) -> bool:
        """A null seed gives another result every time."""
        return self.seed is not None

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Controls against the model's ControlNets, and the window against its motion adapter."""
        faults = []
        if self.stride is not None and self.stride > self.window:
            faults.append(Fault("params.stride", "above window", f"at most {self.window}", str(self.stride)))
        faults += deflicker_faults(self.deflicker, self.num_inference_steps, "guide" in inputs)
        spec = spec_of(inputs.get("model"))
        if spec is not None:
            controls = inputs.get("control")
            count = len(controls) if isinstance(controls, (list, tuple)) else int(controls is not None)
            faults += control_faults(self, spec, count)
            faults += window_faults(self, spec)
            faults += scheduler_faults(self.scheduler, spec)
        return faults

    def run(
        self,
        ctx: RunContext,
        /,
        *,
        model: Model,
        latents: Latents,
        conditioning: Conditioning,
        control: list[Frames] | None = None,
        guide: Frames | None = None,
    ) -> Latents:
        """Denoise all frames."""
        from flowsynth.models.requests import DenoiseRequest, Hooks

        loaded = model.load(ctx)
        require_verb(model, loaded, "denoise", self.op)
        require_space(latents, loaded.latent_format.space, self.op)
        data = latents.tensor
        prompt, negative = conditioning_states(conditioning, model.family, data.shape[0])
        request = DenoiseRequest(
            shape=(data.shape[0], data.shape[1], data.shape[2], data.shape[3]),
            prompt=prompt,
            negative=negative,
            settings=self._settings(ctx),
            hooks=Hooks(ctx.progress, ctx.check_cancelled),
            init=None if latents.empty else data,
            controls=self._controls(model, loaded, latents, control or []),
            scheduler=self.scheduler,
            scheduler_options=self.scheduler_options,
            deflicker=self._deflicker(ctx, loaded, latents, guide),
        )
        result = loaded.denoise(request).to(data.device).contiguous()
        return Latents(result, latents.fps, latents.space, latents.height, latents.width)

    def _settings(self, ctx: RunContext) -> DenoiseSettings:
        from flowsynth.models.requests import DenoiseSettings

        seed = self.seed
        if seed is None:
            import secrets

            seed = secrets.randbelow(2**32)
            ctx.note(f"{ctx.node or self.op}: seed {seed}")
        names = (
            "num_inference_steps", "guidance_scale", "guidance_rescale", "eta", "strength", "noise",
            "window", "window_batch", "timestep_spacing",
        )  # fmt: skip
        stride = self.stride or max(self.window // 2, 1)
        return DenoiseSettings(seed=seed, stride=stride, **{name: getattr(self, name) for name in names})

    def _deflicker(
        self, ctx: RunContext, loaded: Any, latents: Latents, guide: Frames | None
    ) -> DeflickerRequest | None:
        from flowsynth.models.requests import DeflickerRequest
        from flowsynth.operators.motion.temporal_smooth import TemporalSmooth

        if not self.deflicker:
            return None
        smoother = TemporalSmooth(
            method=self.deflicker_method,
            radius=self.deflicker_radius,
            detail=self.deflicker_detail,
            # Frames drawn out of independent noise look like shots of their own; only a guide tells cuts.
            cut=0 if guide is None else 0.5,
        )
        size = frame_size(latents, loaded.latent_format.factor)
        if guide is not None:
            require_frames(guide, latents, size, "the guide")

        whole = replace(ctx, span=None)

        def smooth(frames: torch.Tensor) -> torch.Tensor:
            return smoother.run(whole, frames=Frames(frames), guide=guide).tensor

        return DeflickerRequest(frozenset(self.deflicker), smooth, size)

    def _controls(
        self, model: Model, loaded: Any, latents: Latents, control: list[Frames]
    ) -> list[ControlRequest]:
        from flowsynth.models.requests import ControlRequest

        if not control:
            return []
        faults = control_faults(self, model.spec, len(control))
        if faults:
            raise RequestError(f"{self.op}: {faults[0]}")
        names = self.controlnets or tuple(getattr(model.spec, "controlnets", ()))
        factor = loaded.latent_format.factor
        readers: list[Callable[[int, int], Any]] = [
            control_reader(name, frames, latents, factor) for name, frames in zip(names, control, strict=True)
        ]
        columns = [
            per_control(v, len(control)) for v in (self.control_scale, self.control_start, self.control_end)
        ]
        return [
            ControlRequest(name, reader, *numbers)
            for name, reader, *numbers in zip(names, readers, *columns, strict=True)
        ]
