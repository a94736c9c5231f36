"""Says what a clip of a moving shape shows: where it goes, whether it stays itself, where it jumps."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from flowsynth.training.judge import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flowsynth.training.judge import Verdict

_LEAST_WAY = 0.08  # of the side, over the clip: less is standing still
_LEAST_SEEN = 0.75  # of the frames: with fewer there is no shape to follow


def judge_clip(clip: NDArray[np.uint8]) -> list[Verdict]:
    """Judges every frame of a clip (uint8 THWC)."""
    return [judge(frame) for frame in clip]


def direction(verdicts: Sequence[Verdict]) -> str:
    """Returns where the largest shape moves: "left", "right", "up", "down", "" if it stands.

    A line is fitted through its centres over time by least squares, x and y apart; the longer of the two
    ways decides. "none" where too few frames show a shape.
    """
    seen = [(time, verdict.first) for time, verdict in enumerate(verdicts) if verdict.first is not None]
    if len(seen) < max(2, _LEAST_SEEN * len(verdicts)):
        return "none"
    times = np.array([time for time, _ in seen], float)
    centres = np.array([(shape.x, shape.y) for _, shape in seen])
    x, y = np.polyfit(times, centres, 1)[0] * (len(verdicts) - 1)
    if max(abs(x), abs(y)) < _LEAST_WAY:
        return ""
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "up" if y < 0 else "down"


def colour_drift(verdicts: Sequence[Verdict]) -> float:
    """Returns the mean change of colour from frame to frame, in levels.

    The background's and the shape's median colours count alike; the shape's where both frames show one.
    """
    changes = []
    for before, after in pairwise(verdicts):
        changes.append(np.abs(after.background_rgb - before.background_rgb).mean())
        if before.first is not None and after.first is not None:
            changes.append(np.abs(after.first.rgb - before.first.rgb).mean())
    return float(np.mean(changes)) if changes else 0.0


def frame_changes(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns the mean absolute difference of each frame to the one before, in levels, (T - 1,)."""
    changes: NDArray[np.float64] = np.abs(np.diff(clip.astype(np.float64), axis=0)).mean(axis=(1, 2, 3))
    return changes
