"""Denoise clips of any length: a network sees some frames at a time, and its predictions are averaged.

The windows are family `sd`'s (Diffutoon, arXiv 2401.16224). Here they are put around the network's own
`forward`, inside of guidance and the scheduler: whatever else a pipeline does holds for the whole clip.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowsynth.models.diffusion.windows import Blend, window_spans
from flowsynth.models.families.diffusers.clips import (
    DENOISERS,
    ClipLayout,
    folded_part,
    frames_of,
    part,
    table_part,
)
from flowsynth.models.requests import DenoiseSettings, Hooks

if TYPE_CHECKING:
    from torch import nn

    from flowsynth.models.latent_format import LatentFormat

#: Names of a denoiser's first argument.
_FIRST = ("hidden_states", "sample")


def window_sizes(settings: DenoiseSettings, form: LatentFormat) -> tuple[int, int] | None:
    """Latent frames of a window, and from one to the next; None where a clip is seen whole.

    The stride is half the window unless the node says another.
    """
    if settings.window is None:
        return None
    length = form.latent_count(settings.window)
    stride = length // 2 if settings.stride is None else settings.stride // form.frames
    return length, max(stride, 1)


def put_windows(pipe: Any, layout: ClipLayout, length: int, stride: int, hooks: Hooks) -> None:
    """Have a pipeline's denoisers see windows of a clip.

    Args:
        pipe: whose parts belong to this call alone.
        layout: of its denoisers.
        length: of a window, in latent frames.
        stride: from one window's first latent frame to the next one's.
        hooks: asked before every window whether to go on.
    """
    for name in DENOISERS:
        network = getattr(pipe, name, None)
        if network is not None:
            _windowed(network, layout, length, stride, hooks)


def _windowed(network: nn.Module, layout: ClipLayout, length: int, stride: int, hooks: Hooks) -> None:
    whole, axis = network.forward, layout.axis

    @functools.wraps(whole)
    def forward(*args: Any, **kwargs: Any) -> Any:
        name = next((name for name in _FIRST if name in kwargs), "")
        first, rest = (kwargs.pop(name), args) if name else (args[0], args[1:])
        total = frames_of(layout, first, kwargs)
        spans = window_spans(total, length, stride)
        blend: Blend | None = None
        for start, stop in spans:
            hooks.check()
            piece = part(first, axis, start, stop, total)
            made = whole(piece, *rest, **_arguments(layout, kwargs, start, stop, total))
            if len(spans) == 1:
                return made
            frames = made[0].unflatten(axis, (stop - start, -1))  # tokens of a frame apart from frames
            blend = blend or Blend(frames, axis, total)
            blend.add(frames, start, stop)
        assert blend is not None  # every clip has a window
        mean = blend.mean().flatten(axis, axis + 1)
        return (mean,) if isinstance(made, tuple) else type(made)(sample=mean)

    network.forward = forward


def _arguments(
    layout: ClipLayout, given: Mapping[str, Any], start: int, stop: int, total: int
) -> dict[str, Any]:
    """The further arguments of a call for some frames."""
    made = dict(given)
    for name, axis in layout.along.items():
        made[name] = part(given.get(name), axis, start, stop, total)
    for name in layout.folded:
        made[name] = folded_part(given.get(name), start, stop, total)
    for name in layout.tables:
        made[name] = table_part(given.get(name), stop - start, total)
    if layout.length:
        made[layout.length] = stop - start
    return {name: value for name, value in made.items() if name in given}
