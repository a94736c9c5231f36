"""Decoding of single-shot detectors: anchors, boxes, and the merging of boxes that show the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Detection", "anchors", "decode", "merge", "refine"]


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that was found.

    Attributes:
        score: how sure, in [0, 1].
        box: (4,) left, top, right, bottom.
        points: (K, 2) x and y of its key points, in the box's units.
    """

    score: float
    box: Tensor
    points: Tensor


def anchors(layers: Sequence[tuple[int, int]]) -> Tensor:
    """Return the centres of the anchors of BlazeFace and its kin, (N, 2), x and y in [0, 1].

    Args:
        layers: for each grid the cells along a side, and the anchors in a cell; all of them at its centre.
    """
    found = []
    for cells, count in layers:
        line = (torch.arange(cells) + 0.5) / cells
        y, x = torch.meshgrid(line, line, indexing="ij")
        found.append(torch.stack((x, y), -1).reshape(-1, 2).repeat_interleave(count, 0))
    return torch.cat(found)


def decode(raw: Tensor, logits: Tensor, centres: Tensor, side: int, least: float) -> list[Detection]:
    """Turn a detector's outputs into detections, the surest first.

    Args:
        raw: (N, 4 + 2 K) offset of the centre, size, and offsets of the key points, in the model's pixels.
        logits: (N,) of the score.
        centres: (N, 2) of the anchors, in [0, 1].
        side: of the model's picture in pixels.
        least: score below which nothing counts.

    Returns:
        Detections in units of the picture's side.
    """
    scores = torch.sigmoid(logits.clamp(-100, 100))
    keep = torch.nonzero(scores >= least)[:, 0]
    keep = keep[scores[keep].argsort(descending=True, stable=True)]
    raw, centres = raw[keep] / side, centres[keep]
    middle, half = raw[:, :2] + centres, raw[:, 2:4] / 2
    boxes = torch.cat((middle - half, middle + half), 1)
    points = raw[:, 4:].view(len(keep), (raw.shape[1] - 4) // 2, 2) + centres[:, None]
    return [Detection(float(scores[n]), boxes[i], points[i]) for i, n in enumerate(keep)]


def merge(found: Sequence[Detection], overlap: float, most: int) -> list[Detection]:
    """Merge detections that overlap, each weighted by its score (BlazeFace, arXiv 1907.05047, section 3.4).

    A mean moves less from frame to frame than the surest box alone would.

    Args:
        found: the surest first.
        overlap: intersection over union above which two are the same thing.
        most: results at most.
    """
    rest, out = list(found), list[Detection]()
    while rest and len(out) < most:
        same = [_overlap(rest[0].box, other.box) > overlap for other in rest]
        same[0] = True
        group = [d for d, belongs in zip(rest, same, strict=True) if belongs]
        weights = torch.tensor([d.score for d in group])
        weights = weights / weights.sum()
        box = torch.einsum("n,nk->k", weights, torch.stack([d.box for d in group]))
        points = torch.einsum("n,nkc->kc", weights, torch.stack([d.points for d in group]))
        out.append(Detection(group[0].score, box, points))
        rest = [d for d, belongs in zip(rest, same, strict=True) if not belongs]
    return out


def refine(points: Tensor, heat: Tensor, reach: int = 3, least: float = 0.5) -> Tensor:
    """Move points to the middle of the heat around them.

    Args:
        points: (K, 2) x and y in [0, 1].
        heat: (K, H, W) how likely each point is in each cell, in [0, 1].
        reach: cells in each direction that count.
        least: a point moves only where some cell around it has at least this.
    """
    height, width = heat.shape[-2:]
    cells = (points * points.new_tensor([width, height])).floor()
    right, down = torch.arange(width), torch.arange(height)
    near = ((right - cells[:, :1]).abs() <= reach)[:, None] & ((down - cells[:, 1:]).abs() <= reach)[
        ..., None
    ]
    weights = heat * near
    total = weights.sum((1, 2))
    x, y = (weights.sum(1) * right).sum(1) / width, (weights.sum(2) * down).sum(1) / height
    moved = torch.stack((x, y), 1) / total.clamp(min=1e-9)[:, None]
    return torch.where((weights.amax((1, 2)) >= least)[:, None], moved, points)


def _overlap(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two boxes."""
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    both = float((high - low).clamp(min=0).prod())
    either = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - both
    return both / either if either > 0 else 0.0
