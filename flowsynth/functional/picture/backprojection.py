"""Keep an enlarged picture true to the one it came from."""

from torch import Tensor

from flowsynth.functional.picture.resize import bicubic

__all__ = ["back_project"]


def back_project(large: Tensor, small: Tensor, steps: int = 1) -> Tensor:
    """Correct an enlarged picture so that, reduced again, it gives the small one.

    Each step adds, enlarged, what the reduced picture lacks (Irani and Peleg, "Improving resolution by image
    registration", 1991). What a network smoothed away or tinted comes back; what it invented beyond the small
    picture's resolution stays. Noise of the small picture comes back too.

    Args:
        large: (N, C, H, W) in [0, 1].
        small: (N, C, h, w), not larger.
        steps: 0 changes nothing; past 2 little changes.

    Returns:
        Like `large`, in [0, 1].
    """
    size, source = (large.shape[-2], large.shape[-1]), (small.shape[-2], small.shape[-1])
    for _ in range(steps):
        lacking = small - bicubic(large, source)
        large = (large + bicubic(lacking, size)).clamp(0, 1)
    return large
