"""Predict the noise of any number of frames by sliding windows.

Diffutoon (arXiv 2401.16224), section on long videos: inside every step the noise is predicted window by
window and averaged with triangular weights, before guidance and before the scheduler's step. A clip that fits
one window is predicted in one go, without any weighting, so it stays bit-equal to diffusers' pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.control import Control, ResidualBuffer, split_first

if TYPE_CHECKING:
    import torch

#: Frames from the first up to, not including, the last.
WindowSpan: TypeAlias = tuple[int, int]
_FLOOR = 0.01  # least weight, so that a frame covered only by a window's rim keeps a finite sum


def window_spans(num_frames: int, window: int, stride: int) -> list[WindowSpan]:
    """Cover a clip with windows; one window for a clip that fits, whatever the stride.

    Windows start at 0, stride, 2 stride, ...; each spans [b, min(b + window, num_frames)), and the first
    that reaches the end is the last.

    Args:
        num_frames: length of the clip, at least 1.
        window: length of a window, at least 1.
        stride: distance of two starts.

    Returns:
        The spans in order; their union is the whole clip.

    Raises:
        RequestError: the stride would leave frames out.
    """
    if num_frames <= window:
        return [(0, num_frames)]
    if not 1 <= stride <= window:
        raise RequestError(f"stride must be from 1 to the window's {window} frames, given {stride}")
    last = -(-(num_frames - window) // stride) * stride
    return [(start, min(start + window, num_frames)) for start in range(0, last + 1, stride)]


def triangular_weights(length: int) -> list[float]:
    """Weigh the frames of a window: max(1 - |i - c| / ((L - 1 + 0.01) / 2), 0.01), c = (L - 1) / 2."""
    centre, half = (length - 1) / 2, (length - 1 + 0.01) / 2
    return [max(1 - abs(i - centre) / half, _FLOOR) for i in range(length)]


class Blend:
    """The mean of overlapping windows, each weighed with a triangle, in float32."""

    def __init__(self, like: torch.Tensor, axis: int, frames: int) -> None:
        """Begin with nothing.

        Args:
            like: some of the frames: gives shape, dtype and device.
            axis: of the frames.
            frames: how many there are in all.
        """
        import torch

        self._dtype, self._axis = like.dtype, axis
        shape = [*like.shape[:axis], frames, *like.shape[axis + 1 :]]
        self._total = torch.zeros(shape, dtype=torch.float32, device=like.device)
        self._weight = torch.zeros(frames, device=like.device)

    def add(self, window: torch.Tensor, start: int, stop: int) -> None:
        """Add the frames from `start` up to `stop`."""
        import torch

        w = torch.tensor(triangular_weights(stop - start), device=self._total.device)
        self._total.narrow(self._axis, start, stop - start).add_(window.float() * self._along(w))
        self._weight[start:stop] += w

    def mean(self) -> torch.Tensor:
        """All frames, once; each must have been in some window."""
        return self._total.div_(self._along(self._weight)).to(self._dtype)

    def _along(self, values: torch.Tensor) -> torch.Tensor:
        return values.reshape([-1 if axis == self._axis else 1 for axis in range(self._total.ndim)])


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one step's prediction reads besides the latents.

    Attributes:
        unet: ``UNet2DConditionModel`` or ``UNetMotionModel``.
        motion: whether the UNet takes clips (G x C x T x h x w).
        text: G x T x L x D, text states a frame; G is 2 under guidance, unconditional first.
        timestep_cond: embedding of the guidance scale for distilled UNets, else None.
        spans: windows with rising starts that cover all frames.
        window_batch: windows of equal length in one forward pass.
        check: called before every forward pass; raises to cancel.
    """

    unet: Any
    motion: bool
    text: torch.Tensor
    timestep_cond: torch.Tensor | None
    spans: Sequence[WindowSpan]
    window_batch: int
    check: Callable[[], None]


def batches_of(spans: Sequence[WindowSpan], size: int) -> list[list[WindowSpan]]:
    """Consecutive spans of equal length, at most ``size`` together."""
    batches: list[list[WindowSpan]] = []
    for span in spans:
        last = batches[-1] if batches else None
        if last and len(last) < size and last[0][1] - last[0][0] == span[1] - span[0]:
            last.append(span)
        else:
            batches.append([span])
    return batches


def predict_noise(
    job: Prediction, controls: Sequence[tuple[Control, float]], t: torch.Tensor, sample_GTCHW: torch.Tensor
) -> torch.Tensor:
    """The UNet's output for all frames at one timestep, G x T x C x h x w.

    Args:
        job: the networks, text and windows.
        controls: active ControlNets and their factors at this step.
        t: the timestep, a scalar tensor.
        sample_GTCHW: latents scaled for the scheduler.
    """
    import torch

    residuals = ResidualBuffer(controls, t, sample_GTCHW, job.text)
    if all(before[1] == after[0] for before, after in pairwise(job.spans)):  # no frame lies in two windows
        return torch.cat([_alone(job, residuals, t, sample_GTCHW, span) for span in job.spans], dim=1)
    blend = Blend(sample_GTCHW, 1, sample_GTCHW.shape[1])
    for batch in batches_of(job.spans, job.window_batch):
        job.check()
        for span, out in zip(batch, _forward(job, residuals, t, sample_GTCHW, batch), strict=True):
            blend.add(out, *span)
    return blend.mean()


def _alone(
    job: Prediction,
    residuals: ResidualBuffer,
    t: torch.Tensor,
    sample_GTCHW: torch.Tensor,
    span: WindowSpan,
) -> torch.Tensor:
    """The UNet's output for the frames of one window."""
    job.check()
    return _forward(job, residuals, t, sample_GTCHW, [span])[0]


def _forward(
    job: Prediction,
    residuals: ResidualBuffer,
    t: torch.Tensor,
    sample_GTCHW: torch.Tensor,
    batch: list[WindowSpan],
) -> list[torch.Tensor]:
    """One pass of the UNet over windows of equal length; a list of G x F x C x h x w."""
    first = batch[0][0]
    control = residuals.get(first, batch[-1][1])
    text = _gather(job.text, batch, 0)
    extra: dict[str, Any] = {}
    if control is not None:
        parts = [_gather(part, batch, first) for part in control]
        extra = {"down_block_additional_residuals": parts[:-1], "mid_block_additional_residual": parts[-1]}
    out = job.unet(
        _windows(sample_GTCHW, batch, job.motion),
        t,
        encoder_hidden_states=text,
        timestep_cond=job.timestep_cond,
        return_dict=False,
        **extra,
    )[0]
    return _split(out, sample_GTCHW.shape[0], batch, job.motion)


def _gather(x_GT: torch.Tensor, batch: list[WindowSpan], origin: int) -> torch.Tensor:
    """Frames of the windows as one batch, ordered guidance, window, frame."""
    import torch

    parts = [x_GT[:, start - origin : stop - origin] for start, stop in batch]
    return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).flatten(0, 1)


def _windows(sample_GTCHW: torch.Tensor, batch: list[WindowSpan], motion: bool) -> torch.Tensor:
    """The UNet's input: (G*W*F) x C x h x w, or (G*W) x C x F x h x w for a UNet with motion modules."""
    frames = _gather(sample_GTCHW, batch, 0)
    if not motion:
        return frames
    length = batch[0][1] - batch[0][0]
    return split_first(frames, -1, length).transpose(1, 2)


def _split(out: torch.Tensor, guidance: int, batch: list[WindowSpan], motion: bool) -> list[torch.Tensor]:
    if motion:
        clips = split_first(out.transpose(1, 2), guidance, len(batch))
    else:
        clips = split_first(out, guidance, len(batch), -1)
    return list(clips.unbind(1))
