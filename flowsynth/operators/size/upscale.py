"""Enlarge frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RunError
from flowsynth.core.sizes import Size, Sizes
from flowsynth.core.streams import Map, Reads, Resample, StreamInfo, StreamKind
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import CLIP_UPSCALING, UPSCALING, Role
from flowsynth.operators.shared.frames import map_frames
from flowsynth.operators.shared.weights import PRECISION_TEXT, TILE_TEXT, Precision, WeightedOperator
from flowsynth.operators.size._clip_super import Block, blocks, relative
from flowsynth.operators.size._known import known_size, refusals
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 16384  # pixels along a side: beyond it a size is a slip, and a frame takes gigabytes
_Method = Literal[
    "lanczos",
    "bicubic",
    "realesr-animevideo",
    "realesrgan-x4plus",
    "x4plus-anime",
    "basicvsr",
    "network",
    "auto",
]
#: Weights of the methods that are trained networks.
_WEIGHTS = {
    "realesr-animevideo": "realesr-animevideo",
    "realesrgan-x4plus": "realesrgan-x4plus",
    "x4plus-anime": "realesrgan-x4plus-anime",
    "basicvsr": "basicvsr-reds4",
}
_CLEAN, _BLOCKY = 1.5, 2.0  # blockiness below which details come back whole, and above which not at all
_CLEAN_METHOD: _Method = "basicvsr"  # what auto takes
_OTHER_METHOD: _Method = "realesr-animevideo"
_OF_CLIPS = ("basicvsr", "auto")  # see frames around a frame


class Upscale(WeightedOperator):
    """Resize frames by a factor or to a size.

    The methods:

    - ``lanczos``: Lanczos-3, the sharper; may ring slightly along hard edges.
    - ``bicubic``: Keys' cubic with a = -1/2 (1981), the softer.

    Both widen their kernel when reducing, against aliasing, agree with Pillow, and clamp to the range.
    The others are trained networks, whose weights are fetched at first use:

    - ``realesr-animevideo``: Real-ESRGAN's compact network for animated video; quick, and good on most
      footage.
    - ``realesrgan-x4plus``: Real-ESRGAN's RRDBNet of 23 blocks for photographs (Wang et al., arXiv
      2107.10833); some twenty times slower.
    - ``x4plus-anime``: the same of 6 blocks, for drawings.
    - ``basicvsr``: BasicVSR (Chan et al., arXiv 2012.02181), which draws on neighbouring frames along the
      motion: truer than any single-frame method on clean footage, and steady. `clip` frames are enlarged
      together, and see `context` more on either side. Its parts pass in tiles as below, with the same result
      as in one piece. Maps of whole frames take about 3 kB a source pixel; features of frames that wait for
      their turn lie in files beyond 1 GiB.
    - ``auto``: basicvsr where `blockiness` says that the footage is clean (below 1.5), else
      realesr-animevideo.
    - ``network``: whatever RRDBNet or compact network `weights` names (ESRGAN's first layout, BasicSR's older
      and newer, with or without ``params`` and ``params_ema``).

    A network enlarges by its own factor, 4 for those above; Lanczos brings the result to the size asked for.
    Networks smooth fine texture and may tint; `fidelity` corrects their result so that, reduced, it gives the
    source again: texture and colours come back. Noise and blocks of a bad source do too; there take 0, or
    ``auto``: 2 where `blockiness` is below 1.5, 1 below 2, else 0.
    Frames too large for memory pass in tiles (`tile`), with as much context as each part of a network sees,
    so tiles show nowhere.

    The size comes from `factor`, or from `height` and `width`; with one of these the other follows from
    the aspect ratio. Without any the factor is 2. Sides are rounded to whole pixels.

    Inputs:
        frames: T, C, H, W of any size and dtype. Networks see grey as colours; alpha goes by Lanczos.
        blockiness: how strongly a codec's blocks show in the footage, as the operator of that name measures
            it; for `method` or `fidelity` auto.

    Output:
        Frames of T, C, H', W', in the rate, dtype and kind of the input.

    Errors:
        OfflineError: the weights are not in the cache and can't be fetched; says how to get them.
        InputError: `weights` is no file, or not one of a known network.
    """

    op: ClassVar[str] = "upscale"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    uses: ClassVar[tuple[object, ...]] = networks_code(UPSCALING, CLIP_UPSCALING)

    method: _Method = Field(default="lanczos", description="the kernel or the network")
    factor: float | None = Field(
        default=None, gt=0, le=16, description="of both sides; 2 if no size is given"
    )
    height: int | None = Field(default=None, ge=1, le=_LARGEST, description="of the result, pixels")
    width: int | None = Field(default=None, ge=1, le=_LARGEST, description="of the result, pixels")

    weights: str | None = Field(
        default=None,
        description="of method network: a name out of 'flowsynth weights list', or a checkpoint file",
    )
    fallback: Literal["lanczos", "bicubic"] | None = Field(
        default=None,
        description="method to take if the weights can't be had; else the run ends with a message",
    )
    tile: int | None = Field(default=None, ge=0, description=TILE_TEXT)
    fidelity: Annotated[int, Field(ge=0, le=10)] | Literal["auto"] = Field(
        default=2,
        description="steps of back-projection after a network, 0 to 10; 0 for noisy or blocky sources,"
        " auto by blockiness",
    )
    clip: int = Field(default=8, ge=1, le=120, description="basicvsr: frames enlarged together")
    context: int = Field(
        default=4, ge=0, le=60, description="basicvsr: frames that a clip sees before and after it"
    )
    precision: Precision = Field(default="auto", description=PRECISION_TEXT)

    def stream(self) -> StreamKind:
        """Frame by frame; for basicvsr, clips at fixed places with what they see around them."""
        return Resample() if self.method in _OF_CLIPS else Map()

    def reads(self, start: int, stop: int, inputs: Mapping[str, StreamInfo]) -> Reads:
        """The frames that clips of basicvsr see."""
        total = inputs["frames"].length
        seen, geometry = relative(blocks(start, stop, total, self.clip, self.context))
        return Reads({"frames": seen}, geometry)

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a factor beside a size, and weights without their method or the method without weights."""
        faults = []
        if self.factor is not None and (self.height is not None or self.width is not None):
            given = f"factor {self.factor}, height {self.height}, width {self.width}"
            faults.append(Fault("params.factor", "beside a size", "factor, or height and width", given))
        if (self.weights is None) == (self.method == "network"):
            given = f"weights {self.weights or 'none'}, method {self.method}"
            faults.append(Fault("params.weights", "without its method", "both or neither", given))
        auto = [name for name in ("method", "fidelity") if getattr(self, name) == "auto"]
        if auto and "blockiness" not in inputs:
            expected = "an edge to the port blockiness, from a node of op blockiness"
            faults.append(Fault(f"params.{auto[0]}", "auto has nothing to go by", expected))
        if "blockiness" in inputs and not auto:
            faults.append(Fault("inputs.blockiness", "acts on nothing", "method or fidelity auto"))
        if self.method in ("lanczos", "bicubic"):
            faults.extend(self._idle_precision(f"method {self.method}", "the method of a network"))
        return faults

    @property
    def _weights(self) -> str | None:
        return self.weights if self.method == "network" else _WEIGHTS.get(self.method)

    @property
    def _choices(self) -> tuple[str, ...]:
        if self.method == "auto":
            return _WEIGHTS[_CLEAN_METHOD], _WEIGHTS[_OTHER_METHOD]
        return super()._choices

    @property
    def _role(self) -> Role[Any] | None:
        return CLIP_UPSCALING if self.method in _OF_CLIPS else UPSCALING

    def decided(self, blockiness: float) -> Upscale:
        """Return the operator with what is left to `blockiness` filled in."""
        method, fidelity = self.method, self.fidelity
        if method == "auto":
            method = _CLEAN_METHOD if blockiness < _CLEAN else _OTHER_METHOD
        if fidelity == "auto":
            fidelity = 2 if blockiness < _CLEAN else 1 if blockiness < _BLOCKY else 0
        return self.model_copy(update={"method": method, "fidelity": fidelity})

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """The size asked for, or what it makes of the frames'."""
        own = self.height is not None and self.width is not None
        return known_size(sizes, self.target_size, fixed=own)

    def size_faults(self, sizes: Sizes, /) -> list[Fault]:
        """The result must not be too large."""
        return refusals(sizes, self.target_size)

    def run(self, ctx: RunContext, /, *, frames: Frames, blockiness: float | None = None) -> Frames:
        """Resize each frame."""
        from flowsynth.functional.picture.resize import bicubic, lanczos

        if blockiness is not None:
            chosen = self.decided(blockiness)
            if self.method == "auto" and chosen.method != "basicvsr":  # which needs no frames around its own
                kept = [frames.slice(b.keep_start, b.keep_stop) for b in self._blocks(ctx, frames)]
                frames = Frames.concat(kept or [frames.slice(0, 0)])
            return chosen.run(ctx, frames=frames)
        size = self.target_size(frames.height, frames.width)
        if self.method in _OF_CLIPS:
            return self._enlarged_clips(ctx, frames, size)
        if self._weights is not None:
            return self._enlarged(ctx, frames, self._weights, size)
        resize = lanczos if self.method == "lanczos" else bicubic

        def render(frame: Tensor) -> Tensor:
            return resize(frame, size)

        return map_frames(ctx, frames, render)

    def _enlarged(self, ctx: RunContext, frames: Frames, weights: str, size: tuple[int, int]) -> Frames:
        from flowsynth.models.networks import load_network
        from flowsynth.operators.size._super import enlarge

        network = load_network(ctx, UPSCALING, weights, self.precision)

        def render(frame: Tensor) -> Tensor:
            return enlarge(frame, network, self.tile, size, self._steps, ctx.portions)

        return map_frames(ctx, frames, render)

    def _enlarged_clips(self, ctx: RunContext, frames: Frames, size: tuple[int, int]) -> Frames:
        from flowsynth.operators.size._clip_super import enlarge_clip

        weights = _WEIGHTS["basicvsr"]
        found = self._blocks(ctx, frames)
        return enlarge_clip(ctx, frames, weights, self.precision, found, size, self.tile, self._steps)

    def _blocks(self, ctx: RunContext, frames: Frames) -> list[Block]:
        """The blocks of what was read: all of a clip, or those that the engine asks for."""
        count = frames.num_frames
        if ctx.span is None or not isinstance(ctx.span.geometry, list):
            return blocks(0, count, count, self.clip, self.context)
        rows = [row for row in ctx.span.geometry if isinstance(row, list)]
        return [Block(*(int(str(number)) for number in row)) for row in rows]

    @property
    def _steps(self) -> int:
        """Steps of back-projection; by then `decided`."""
        return 0 if self.fidelity == "auto" else self.fidelity

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for frames of a size.

        Raises:
            RunError: a side of the result would pass 16384 pixels.
        """
        if self.height is not None and self.width is not None:
            return self.height, self.width
        if self.height is not None:
            size = self.height, max(1, round(width * self.height / height))
        elif self.width is not None:
            size = max(1, round(height * self.width / width)), self.width
        else:
            factor = 2.0 if self.factor is None else self.factor
            size = max(1, round(height * factor)), max(1, round(width * factor))
        if max(size) > _LARGEST:
            raise RunError(f"upscale: {width}x{height} would become {size[1]}x{size[0]}; at most {_LARGEST}")
        return size
