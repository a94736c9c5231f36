"""Frames between keyframes by patch match: the interpolation of FastBlend (arXiv 2311.09265).

Keyframes are rendered pictures of every `step`-th frame of a guide video. A frame between two of them is
both, carried over along the fields that match the guide's frames, mixed linearly in time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from flowsynth.functional.cut.shots import shots
from flowsynth.functional.patchmatch.fastblend import Job, Remapper
from flowsynth.values.frames import as_float

__all__ = ["between_keys"]


def between_keys(
    keys: Tensor, step: int, start: int, stop: int, *, remap: Remapper, cut: float
) -> Iterator[Tensor]:
    """Render the frames `start` to `stop` of a guide out of keyframes.

    A frame at a key is that key. Past the last key, and where the guide is cut between a frame and one of its
    keys, only the other is carried over; where it is cut on both sides, the nearer.

    Args:
        keys: `(K, C, H, W)`, uint8 or floating point in [0, 1]; key i belongs to frame `i * step`.
        step: frames from key to key, at least 1.
        start: first frame to render, an index into the remapper's guide.
        stop: end of the frames to render.
        remap: over the guide, which begins at the first key and reaches the key at or after `stop - 1`, or
            the end of the clip. With tracking, fields are followed from the keys outwards.
        cut: share of the picture that neighbouring frames of the guide must show both to be of one shot; 0:
            all are.

    Yields:
        `(C, H, W)` float32 in [0, 1], one a frame.
    """
    for left in range(start // step, -(-stop // step)):
        first = left * step
        last = min(first + step, len(remap.guide) - 1)
        targets = range(max(start, first), min(stop, first + step))
        seen = last + 1 if targets != range(first, first + 1) else first + 1
        yield from _interval(keys, left, step, targets, remap, shots(remap.guide[first:seen], cut))


def _interval(
    keys: Tensor, left: int, step: int, targets: range, remap: Remapper, parts: list[range]
) -> Iterator[Tensor]:
    """Render `targets`, which lie at key `left` or between it and the next."""
    first = left * step
    has_right = left + 1 < len(keys)
    shares = {t: _share(t - first, step, parts, has_right=has_right) for t in targets}
    ahead = _carried(keys, left, first, [t for t in targets if shares[t] < 1 and t != first], remap)
    behind: dict[int, Tensor] = {}
    if has_right:
        wanted = [t for t in targets if shares[t] > 0 and t != first]
        behind = _carried(keys, left + 1, first + step, wanted, remap)
    for t in targets:
        if t == first:
            yield as_float(keys[left])
        elif t in ahead and t in behind:
            yield torch.lerp(ahead[t], behind[t], shares[t])
        else:
            yield ahead[t] if t in ahead else behind[t]


def _share(offset: int, step: int, parts: list[range], *, has_right: bool) -> float:
    """Return the right key's share of the frame `offset` after the left key: 0 without it, 1 for it alone."""
    if not has_right:
        return 0.0
    own = next(number for number, part in enumerate(parts) if offset in part)
    with_left, with_right = own == 0, own == len(parts) - 1
    if with_left == with_right:
        return offset / step if with_left else float(2 * offset > step)
    return float(with_right)


def _carried(keys: Tensor, key: int, at: int, wanted: list[int], remap: Remapper) -> dict[int, Tensor]:
    """Carry a key over to the frames wanted; with tracking by way of all frames in between."""
    if not wanted:
        return {}
    outwards = sorted(wanted, key=lambda t: abs(t - at))
    if remap.tracking:
        toward = 1 if outwards[0] > at else -1
        outwards = list(range(at + toward, outwards[-1] + toward, toward))
    jobs: list[Job] = [(keys[key], at, t) for t in outwards]
    return {t: picture for t, picture in zip(outwards, remap(jobs), strict=True) if t in wanted}
