"""Drawing of lines, ellipses and discs with smooth edges."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["draw_disc", "draw_ellipse", "draw_line"]

Point = tuple[float, float]
Colour = tuple[float, float, float]


def draw_line(canvas: Tensor, start: Point, end: Point, width: float, colour: Colour) -> None:
    """Draw a line with round ends.

    Args:
        canvas: (3, H, W) float in [0, 1], written in place.
        start: x and y in pixels from the top left corner; may lie outside.
        end: likewise.
        width: in pixels.
        colour: RGB in [0, 1].
    """
    radius = width / 2
    window = _window(canvas, (start, end), radius)
    if window is None:
        return
    x, y, part = window
    across, down = end[0] - start[0], end[1] - start[1]
    length = across**2 + down**2
    along = ((x - start[0]) * across + (y - start[1]) * down) / length if length else torch.zeros_like(x)
    along = along.clamp(0, 1)
    distance = torch.hypot(x - start[0] - along * across, y - start[1] - along * down)
    _paint(part, radius - distance, colour)


def draw_ellipse(canvas: Tensor, start: Point, end: Point, width: float, colour: Colour) -> None:
    """Draw an ellipse from one point to another; see `draw_line`."""
    radius, half = width / 2, math.dist(start, end) / 2
    window = _window(canvas, (start, end), radius)
    if window is None or half < radius:
        return draw_line(canvas, start, end, width, colour) if window is not None else None
    x, y, part = window
    across, down = (end[0] - start[0]) / (2 * half), (end[1] - start[1]) / (2 * half)
    x, y = x - (start[0] + end[0]) / 2, y - (start[1] + end[1]) / 2
    reach = torch.hypot((x * across + y * down) / half, (y * across - x * down) / radius)
    _paint(part, radius * (1 - reach), colour)
    return None


def draw_disc(canvas: Tensor, middle: Point, radius: float, colour: Colour) -> None:
    """Draw a disc; see `draw_line`."""
    draw_line(canvas, middle, middle, 2 * radius, colour)


def _window(canvas: Tensor, points: tuple[Point, ...], radius: float) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return x, y and the canvas where something near points can show, or None if that is nowhere."""
    height, width = canvas.shape[-2:]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    if not all(map(math.isfinite, (*xs, *ys))):
        return None
    left, right = max(0, math.floor(min(xs) - radius - 1)), min(width, math.ceil(max(xs) + radius + 1))
    top, bottom = max(0, math.floor(min(ys) - radius - 1)), min(height, math.ceil(max(ys) + radius + 1))
    if left >= right or top >= bottom:
        return None
    x = torch.arange(left, right, device=canvas.device)[None] + 0.5
    y = torch.arange(top, bottom, device=canvas.device)[:, None] + 0.5
    return x, y, canvas[:, top:bottom, left:right]


def _paint(part: Tensor, inside: Tensor, colour: Colour) -> None:
    """Cover what lies inside; the last pixel of an edge is covered in part."""
    cover = (inside + 0.5).clamp(0, 1)
    part.lerp_(part.new_tensor(colour).view(3, 1, 1).expand_as(part), cover.expand_as(part))
