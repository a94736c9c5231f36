"""Draw each frame from the result of the frame before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, GraphError, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Scan, StreamKind
from flowsynth.models import Model
from flowsynth.operators.diffusion.denoise import Denoise, Seed, Share
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.values import Conditioning, Flow, Frames, Latents, Mask, Tensors

if TYPE_CHECKING:
    from torch import Tensor


class FrameToFrame(Operator):
    """Draw a clip frame by frame: each from the result of the frame before, moved along the motion.

    What the frame before shows is carried over (`warp`), what it hides is taken from `frames`, and a model of
    pictures draws over both at `strength`. So a model that knows nothing of time gives a clip that moves as
    one, as vid2vid (Wang et al., arXiv 1808.06601) does by a network of its own: warped where it is seen,
    drawn where it is not. What flickers in `frames` comes through by `fresh` only. Every frame has the same
    noise.

    The first frame, and one after a cut, where next to nothing is seen before, is drawn at `first_strength`.

    Where each result is the next one's start, errors add up. `fresh` is the share of `frames` that comes in
    everywhere, so that an error fades by it with every frame. With `take: change` a frame is its start and
    what drawing changed in it, both passed through the autoencoder, so that the autoencoder's own loss stays
    out: for small strengths. With `whole` it is what was drawn.

    Inputs:
        model: of family `sd`, or of a class of `diffusers` that starts from a picture.
        conditioning: from `text_encode` with the same model; one prompt for the whole clip.
        frames: what is drawn anew: the source, or a stylised one.
        flow: from each frame to the one before, of the source: `optical_flow direction: previous`.
        occlusion: where the frame before does not show a pixel; the same node's.
        control: control maps as for `denoise`, each as long as `frames`.

    Output:
        Frames like `frames`, three channels.

    Errors:
        A model that cannot start from a picture; clips of other lengths or sizes; a prompt that travels.
    """

    op: ClassVar[str] = "frame_to_frame"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    uses: ClassVar[tuple[object, ...]] = Denoise.uses  # it calls that operator
    libraries: ClassVar[tuple[str, ...]] = ("torch", "diffusers")
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
    strength: Share = Field(default=0.4, description="share of noise on what is carried over")
    first_strength: Share | None = Field(
        default=None, description="the same where nothing was seen before; null takes strength"
    )
    seed: Seed = Field(default=0, description="of every frame's noise")
    scheduler: str | None = Field(default=None, description="name; null takes the model's")
    controlnets: tuple[str, ...] | None = Field(default=None, description="names for the controls, in order")
    control_scale: float | tuple[float, ...] = Field(default=1.0, description="weight of the controls")
    fresh: Share = Field(
        default=0.1, description="share of frames that comes in where the frame before is seen"
    )
    take: Literal["whole", "change"] = Field(default="whole", description="what of the drawn frame is taken")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the model family's own")

    def stream(self) -> StreamKind:
        """Frame by frame; the last result is handed on."""
        return Scan()

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """What the model cannot do, and a prompt that travels."""
        ports = {name: inputs[name] for name in ("model", "conditioning", "control") if name in inputs}
        start = {} if self._encodes(Model.of(inputs.get("model"))) else {"image": 1}
        faults = self._denoise(self.strength).check({**ports, "latents": 1, **start})
        found = [replace(f, path="inputs.model") if f.path == "inputs.image" else f for f in faults]
        text = inputs.get("conditioning")
        if isinstance(text, TextEncode) and not isinstance(text.prompt, str) and len(text.prompt) > 1:
            found.append(Fault("inputs.conditioning", "travels", "one prompt", f"{len(text.prompt)} prompts"))
        if start and self.take == "change" and inputs.get("model") is not None:
            expected = "whole: its autoencoder cannot be called by itself"
            found.append(Fault("params.take", "not for this model", expected, self.take))
        return found

    def run(
        self,
        ctx: RunContext,
        /,
        *,
        model: Model,
        frames: Frames,
        flow: Flow,
        occlusion: Mask,
        conditioning: Conditioning | None = None,
        control: list[Frames] | None = None,
    ) -> Frames:
        """Draw the frames asked for, one after the other."""
        import torch

        controls = control or []
        given = {"model": model, "conditioning": conditioning, "control": controls}
        if faults := self.check({port: value for port, value in given.items() if value}):
            raise GraphError(faults, self.op)
        _require_alike(frames, flow, occlusion)
        before = None if ctx.state is None else ctx.state.tensors["previous"].to(ctx.device)
        made = []
        for i in range(frames.num_frames):
            ctx.progress(i, frames.num_frames)
            start, first = self._start(ctx, frames, flow, occlusion, i, before)
            strength = self.strength if not first or self.first_strength is None else self.first_strength
            shown = [clip.slice(i, i + 1) for clip in controls]
            before = self._drawn(ctx, model, start, conditioning, shown, strength)
            made.append(frames.like(before.to(frames.parts[0].device)).tensor)
        if before is not None:
            ctx.state = Tensors({"previous": before.cpu().clone()})
        return frames.with_data(torch.cat(made)) if made else frames.slice(0, 0)

    def _start(
        self, ctx: RunContext, frames: Frames, flow: Flow, occlusion: Mask, i: int, before: Tensor | None
    ) -> tuple[Tensor, bool]:
        """What a frame is drawn from, `(1, 3, H, W)`, and whether next to nothing was seen before."""
        from flowsynth.functional.motion.optical_flow import warp
        from flowsynth.functional.picture.blur import gaussian_blur
        from flowsynth.values.frames import as_float, as_rgb

        own = as_rgb(as_float(frames.frame(i)[None].to(ctx.device)))
        hidden = as_float(occlusion.frame(i)[None].to(ctx.device))
        if before is None or float(hidden.mean()) > _CUT:
            return own, True
        carried = warp(before, flow.frame(i)[None].to(ctx.device).float())
        seen = (1 - gaussian_blur(hidden, _RIM, border="replicate")).clamp(0, 1) * (1 - hidden)
        return own + seen * (1 - self.fresh) * (carried - own), False

    def _drawn(
        self,
        ctx: RunContext,
        model: Model,
        start: Tensor,
        conditioning: Conditioning | None,
        controls: list[Frames],
        strength: float,
    ) -> Tensor:
        """One frame drawn from its start, `(1, 3, H, W)` float32 in [0, 1]."""
        alone = replace(ctx, span=None, state=None, on_progress=None)
        picture, encodes = Frames(start.float()), self._encodes(model)
        if encodes:
            latents = VaeEncode().run(alone, frames=picture, model=model)
        else:
            latents = EmptyLatents().run(alone, model=model, like=picture)
        made = self._denoise(strength).run(
            alone,
            model=model,
            latents=latents,
            conditioning=conditioning,
            control=controls or None,
            image=None if encodes else picture,
        )
        drawn = self._decoded(alone, made, model)
        if self.take == "whole":
            return drawn
        return (start + drawn - self._decoded(alone, latents, model)).clamp(0, 1)

    @staticmethod
    def _decoded(ctx: RunContext, latents: Latents, model: Model) -> Tensor:
        return VaeDecode(dtype="float32").run(ctx, latents=latents, model=model).tensor.to(ctx.device)

    @staticmethod
    def _encodes(model: Model | None) -> bool:
        """Whether the model turns frames into latents by itself; else its class starts from a picture."""
        return model is None or model.has("vae_encode")

    def _denoise(self, strength: float) -> Denoise:
        return Denoise(
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            strength=strength,
            seed=self.seed,
            scheduler=self.scheduler,
            controlnets=self.controlnets,
            control_scale=self.control_scale,
            options=self.options,
        )


#: Share of a frame that must be hidden before for it to count as a first one.
_CUT = 0.8
#: How far from what is hidden the carried frame is trusted less, pixels.
_RIM = 1.5


def _require_alike(frames: Frames, flow: Flow, occlusion: Mask) -> None:
    sizes = [(clip.num_frames, *clip.frame_shape[-2:]) for clip in (frames, flow, occlusion)]
    if len(set(sizes)) > 1:
        given = ", ".join(f"{count} of {width}x{height}" for count, height, width in sizes)
        raise RequestError(
            f"frame_to_frame: frames, flow and occlusion must agree in length and size, given {given}"
        )
