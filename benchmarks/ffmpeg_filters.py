"""FFmpeg's filters over a clip, for benchmarks that compare with them."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from flowsynth.media.color import FrameMaker, to_rgb
from flowsynth.media.siting import chain
from flowsynth.values import Frames


def filtered(clip: Frames, *filters: tuple[str, str], keeps_length: bool = False) -> dict[Fraction, Any]:
    """What filters make of a clip.

    Args:
        clip: frames at a rate.
        filters: names and options.
        keeps_length: as many frames must come out as go in.

    Returns:
        seconds -> (H, W, 3), uint8, of every frame that comes out.
    """
    rate = clip.fps or Fraction(25)
    maker, back = FrameMaker("yuv444p"), VideoReformatter()
    graph: Any = None
    found: dict[Fraction, Any] = {}
    pictures = [*clip.tensor.permute(0, 2, 3, 1).numpy(), None]
    for place, picture in enumerate(pictures):
        frame = None if picture is None else maker.make(picture)
        if frame is not None:
            frame.pts, frame.time_base = place, 1 / rate
            graph = graph or chain(frame, *filters)
        graph.push(frame)
        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while True:
                made = graph.pull()
                found[made.pts * Fraction(made.time_base)] = to_rgb(made, back, background=(0, 0, 0))
    if keeps_length and len(found) != clip.num_frames:
        raise RuntimeError(f"{filters}: {clip.num_frames} frames became {len(found)}")
    return found


def as_clip(found: dict[Fraction, Any], like: Frames) -> Frames:
    """Filtered frames as a clip."""
    stacked = np.stack([found[moment] for moment in sorted(found)])
    return like.with_data(torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous())
