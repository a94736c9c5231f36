"""ControlNet residuals of a sliding window of frames, each frame computed once a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from flowsynth.models.diffusion.condition import Conditions
from flowsynth.models.requests import FrameReader

if TYPE_CHECKING:
    import torch

    Residuals: TypeAlias = list[torch.Tensor]


@dataclass(frozen=True)
class Control:
    """One ControlNet at work.

    Attributes:
        net: a diffusers ``ControlNetModel``.
        frames: reader of its control images, 3 channels in [0, 1], at pixel size.
        scale: factor on its residuals.
        start: share of the steps after which it begins to act, in [0, 1].
        end: share of the steps after which it stops, in [0, 1].
    """

    net: Any
    frames: FrameReader
    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0

    @cached_property
    def conditions(self) -> Conditions:
        """Its control maps, embedded once for all steps."""
        return Conditions(self.net, self.frames)

    def scale_at(self, step: int, steps: int) -> float:
        """The factor at a step (0-based), as diffusers' pipelines compute it: all or nothing."""
        off = step / steps < self.start or (step + 1) / steps > self.end
        return self.scale * (1.0 - float(off))


def split_first(x: torch.Tensor, *sizes: int) -> torch.Tensor:
    """The first axis of a tensor split into axes of these sizes."""
    return x.reshape(*sizes, *x.shape[1:])


def _add(left: Residuals | None, right: Residuals) -> Residuals:
    return right if left is None else [a + b for a, b in zip(left, right, strict=True)]


class ResidualBuffer:
    """Residuals of the frames that the current window spans, for one denoising step.

    Windows come with rising starts. Frames before the current start are dropped, new ones are computed in
    one batch, so the memory is that of one window whatever the length of the video.
    """

    def __init__(
        self,
        controls: Sequence[tuple[Control, float]],
        timestep: torch.Tensor,
        sample_GTCHW: torch.Tensor,
        text_GTLD: torch.Tensor,
    ) -> None:
        """Prepare one step.

        Args:
            controls: the active ControlNets with their factors at this step.
            timestep: scalar.
            sample_GTCHW: scaled latents; G is 2 under guidance (unconditional first), else 1.
            text_GTLD: text states, one a frame.
        """
        self._controls = controls
        self._timestep = timestep
        self._sample = sample_GTCHW
        self._text = text_GTLD
        self._start = self._stop = 0
        self._kept: Residuals | None = None

    def get(self, start: int, stop: int) -> Residuals | None:
        """Residuals of frames ``start`` to ``stop``, each G x T x C x h x w, mid block last.

        None where no ControlNet is active.
        """
        if not self._controls:
            return None
        self._drop_before(start)
        if stop > self._stop:
            fresh = self._compute(max(start, self._stop), stop)
            self._append(fresh, start, stop)
        if self._kept is None:
            raise RuntimeError(f"window {start}:{stop} holds no frame")
        return [part[:, : stop - self._start] for part in self._kept]

    def _drop_before(self, start: int) -> None:
        if self._kept is None or start >= self._stop:
            self._kept = None
        elif start > self._start:
            self._kept = [part[:, start - self._start :].clone() for part in self._kept]
        self._start = start

    def _append(self, fresh: Residuals, start: int, stop: int) -> None:
        import torch

        old, self._kept = self._kept, None
        if old is None:
            self._kept = fresh
        else:
            self._kept = [torch.cat(pair, dim=1) for pair in zip(old, fresh, strict=True)]
        self._start, self._stop = start, stop

    def _compute(self, start: int, stop: int) -> Residuals:
        sample = self._sample[:, start:stop].flatten(0, 1)
        text = self._text[:, start:stop].flatten(0, 1)
        total: Residuals | None = None
        for control, scale in self._controls:
            maps = control.conditions.of(start, stop, sample.device, self._sample.shape[0])
            total = _add(total, self._run(control.conditions.net, scale, sample, text, maps))
        guidance = self._sample.shape[0]
        return [split_first(part, guidance, stop - start) for part in total or []]

    def _run(
        self, net: Any, scale: float, sample: torch.Tensor, text: torch.Tensor, maps: torch.Tensor
    ) -> Residuals:
        down, mid = net(
            sample,
            self._timestep,
            encoder_hidden_states=text,
            controlnet_cond=maps,
            conditioning_scale=scale,
            guess_mode=bool(net.config.global_pool_conditions),
            return_dict=False,
        )
        return [*down, mid]
