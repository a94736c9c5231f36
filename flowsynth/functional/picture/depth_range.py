"""The range in which depth is shown, followed through a clip so that the map does not flicker."""

from __future__ import annotations

from torch import Tensor

__all__ = ["DepthRange"]

#: Parts of a frame that may lie below and above the range: single pixels must not set it.
_LOW, _HIGH = 0.01, 0.99
#: Ends that move by this much of the range at once mean another shot.
_JUMP = 0.5
#: A range of this part of its ends is rounding, not depth.
_NOISE = 1e-6


class DepthRange:
    """Follows the range of a clip, frame by frame.

    Args:
        steady: share of the range so far that is kept at each frame; 0 takes each frame by itself.
        state: low and high end after the frame before, or None at the start.
    """

    def __init__(self, steady: float, state: tuple[float, float] | None = None) -> None:
        self.steady, self.state = steady, state

    def show(self, depth: Tensor) -> Tensor:
        """Bring the next frame's values to [0, 1]; what is beyond the range is clamped.

        Args:
            depth: (..., H, W), the larger the nearer. A frame without any depth becomes 0.
        """
        low, high = self._next(*_ends(depth))
        least = _NOISE * max(abs(low), abs(high))
        return (
            ((depth - low) / (high - low)).clamp(0, 1) if high - low > least else depth.new_zeros(depth.shape)
        )

    def _next(self, low: float, high: float) -> tuple[float, float]:
        if self.state is not None:
            before, span = self.state, self.state[1] - self.state[0]
            if max(abs(low - before[0]), abs(high - before[1])) <= _JUMP * span:
                low, high = (
                    self.steady * old + (1 - self.steady) * new
                    for old, new in zip(before, (low, high), strict=True)
                )
        self.state = (low, high)
        return self.state


def _ends(depth: Tensor) -> tuple[float, float]:
    """Return the values that `_LOW` and `_HIGH` of a frame lie below."""
    values = depth.flatten().float().sort().values
    last = len(values) - 1
    return float(values[round(_LOW * last)]), float(values[round(_HIGH * last)])
