"""A body as the skeleton that OpenPose draws, from which pose ControlNets were trained."""

from __future__ import annotations

import colorsys

import torch
from torch import Tensor

from flowsynth.functional.show.draw import Colour, draw_disc, draw_ellipse

__all__ = ["JOINTS", "body_joints", "draw_skeleton"]

#: OpenPose's 18 points (COCO's and the neck), in its order. Left and right are the person's own.
JOINTS = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow"),
    *("left wrist", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
    *("right eye", "left eye", "right ear", "left ear"),
)
#: Point of BlazePose's 33 for each of them; the neck is halfway between the shoulders.
_BLAZEPOSE = (0, 0, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
_NECK, _SHOULDERS = 1, (11, 12)
#: Limbs between those points; the n-th has the n-th colour.
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
#: The rainbow in 18 steps, red first.
_COLOURS: tuple[Colour, ...] = tuple(colorsys.hsv_to_rgb(n / len(JOINTS), 1, 1) for n in range(len(JOINTS)))
_LIMB_LIGHT = 0.6


def body_joints(points: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """Take OpenPose's 18 points out of BlazePose's.

    Args:
        points: (33 or more, 2) x and y.
        sure: as many, how visible each is.

    Returns:
        (18, 2) and (18,).
    """
    chosen = list(_BLAZEPOSE)
    joints, seen = points[chosen].clone(), sure[chosen].clone()
    joints[_NECK] = points[list(_SHOULDERS)].mean(0)
    seen[_NECK] = sure[list(_SHOULDERS)].min()
    return joints, seen


def draw_skeleton(canvas: Tensor, joints: Tensor, seen: Tensor, unit: float) -> None:
    """Draw a body: limbs as ellipses at 60 % brightness, then points as discs, in the hues of the rainbow.

    Args:
        canvas: (3, H, W) float in [0, 1], written in place.
        joints: (18, 2) x and y in pixels, in the order of `JOINTS`.
        seen: (18,) bool, which to draw; a limb needs both its ends.
        unit: half a limb's width and a disc's radius, in pixels.
    """
    places = [(float(x), float(y)) for x, y in joints.tolist()]
    shown = torch.as_tensor(seen).tolist()
    for (first, second), (red, green, blue) in zip(_LIMBS, _COLOURS, strict=False):
        if shown[first] and shown[second]:
            dark = red * _LIMB_LIGHT, green * _LIMB_LIGHT, blue * _LIMB_LIGHT
            draw_ellipse(canvas, places[first], places[second], 2 * unit, dark)
    for place, colour, visible in zip(places, _COLOURS, shown, strict=True):
        if visible:
            draw_disc(canvas, place, unit, colour)
