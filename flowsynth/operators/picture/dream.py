"""Dream into frames: DeepDream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.streams import Scan, StreamKind
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import LIKENESS
from flowsynth.operators.shared.frames import map_frames
from flowsynth.operators.shared.weights import WeightedOperator
from flowsynth.values import Frames, Tensors
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.style.dream import DreamSettings
    from flowsynth.nets.roles import Role

_WEIGHTS = "lpips-alex"
Layer = Literal["conv1", "conv2", "conv3", "conv4", "conv5"]
_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


class Dream(WeightedOperator):
    """Change frames so that a network sees more of what it sees in them: DeepDream, no diffusion.

    AlexNet, trained on ImageNet, is shown a frame, and the frame takes small steps towards what makes the
    chosen layers answer more (Mordvintsev, Olah and Tyka, "Inceptionism", 2015), in several sizes from
    coarse to fine. Early layers give strokes and textures, ``conv5`` eyes, snouts and feathers. In a clip
    what was dreamt in a frame moves on with what it lies on and goes on growing there; a cut begins anew.

    Costs about 2 CPU seconds for 320x320 pixels with the defaults, and grows with the number of pixels,
    `octaves` and `num_steps`. The weights (10 MB) are fetched at first use.

    Inputs:
        frames: T, C, H, W of any size and dtype; grey counts as equal channels, alpha is dropped.

    Output:
        Frames of T, 3, H, W, in the rate and dtype of the input.

    Errors:
        OfflineError: the weights are not in the cache and can't be fetched.
    """

    op: ClassVar[str] = "dream"
    version: ClassVar[int] = 1
    same_size: ClassVar[str] = "frames"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    uses: ClassVar[tuple[object, ...]] = networks_code(LIKENESS)

    layers: tuple[Layer, ...] = Field(
        default=("conv5",), min_length=1, description="whose answers are raised, each weighing the same"
    )
    octaves: int = Field(default=4, ge=1, le=12, description="sizes that are worked on")
    octave_scale: float = Field(default=1.4, gt=1, le=4, description="from one size to the next")
    num_steps: int = Field(default=12, ge=1, le=1000, description="of gradient ascent in each size")
    step_size: float = Field(
        default=0.01, gt=0, le=0.5, description="mean change of a step, in units of the range"
    )
    jitter: int = Field(default=16, ge=0, le=256, description="farthest random shift of a step, pixels")
    carry: float = Field(
        default=0.7, ge=0, lt=1, description="share of the last frame's dream that is carried along"
    )
    seed: int | None = Field(default=0, ge=0, lt=2**32, description="of the shifts; null draws one")

    def stream(self) -> StreamKind:
        """Frame by frame; the last frame and its dream are handed from chunk to chunk."""
        return Scan()

    @property
    def _weights(self) -> str:
        return _WEIGHTS

    @property
    def _role(self) -> Role[Any]:
        return LIKENESS

    def run(self, ctx: RunContext, /, *, frames: Frames) -> Frames:
        """Dream into each frame."""
        from flowsynth.functional.style.dream import carried, dream
        from flowsynth.models.networks import load_network

        network = load_network(ctx, LIKENESS, _WEIGHTS)
        known: dict[str, Tensor] = {} if ctx.state is None else dict(ctx.state.tensors)

        def render(frame: Tensor) -> Tensor:
            picture, held = as_rgb(frame).float(), None
            if known and self.carry:
                before, change = known["frame"].to(frame.device), known["change"].to(frame.device)
                held = carried(picture, before, change, self.carry)
            dreamt = dream(picture, network.layers, self._settings(network.needs.least, held), held)
            known.update(frame=picture.cpu().clone(), change=(dreamt - picture).cpu())
            return dreamt

        dreamt = map_frames(ctx, frames, render, kind="rgb")
        if known:
            ctx.state = Tensors(known)
        return dreamt

    def _settings(self, least: int, held: Tensor | None) -> DreamSettings:
        """What is carried keeps growing, so its steps are smaller: the dream stays as strong as at first."""
        from flowsynth.functional.style.dream import DreamSettings

        return DreamSettings(
            layers=tuple(_LAYERS.index(layer) for layer in self.layers),
            octaves=self.octaves,
            octave_scale=self.octave_scale,
            steps=self.num_steps,
            step_size=self.step_size if held is None else self.step_size * (1 - self.carry),
            jitter=self.jitter,
            seed=self.seed or 0,
            least=least,
        )
