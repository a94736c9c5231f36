"""Each body as the skeleton that OpenPose draws, with its 18 points and its colours.

By BlazePose (Bazarevsky et al., arXiv 2006.10204). Joints that are hidden or out of the frame are left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import DetectorParams, Render
from flowsynth.operators.control._people import DRAWN_AT, SURE, PeopleDetector, look_closer

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.landmarks.detection import Detection
    from flowsynth.functional.landmarks.region import Region
    from flowsynth.nets.people.litert import LiteModels

#: The detector's grids, as (cells along a side, anchors in a cell), and its picture's side.
_GRID, _SIDE = ((28, 2), (14, 2), (7, 6)), 224
#: How far around a detection a body is looked for, times its size.
_MARGIN = 1.25


class Pose(PeopleDetector):
    """Bodies as coloured skeletons on black."""

    default_weights: ClassVar[str] = "mediapipe-pose"

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the models, and draw the bodies of a frame."""
        models = self.models(ctx, params)
        return lambda frame: draw_bodies(frame, find_bodies(models, frame, params.score, params.most))


def find_bodies(models: LiteModels, frame: Tensor, least: float, most: int) -> list[tuple[Tensor, Tensor]]:
    """Return BlazePose's 33 points of each person, (33, 2) in pixels, and how visible each is, (33,).

    Args:
        models: of ``mediapipe-pose``.
        frame: (1, 3, H, W) in [0, 1].
        least: confidence below which a person does not count.
        most: people at most, the surest.
    """
    import torch

    from flowsynth.functional.landmarks.detection import refine
    from flowsynth.functional.landmarks.region import crop_region, to_picture

    found, model = [], models["pose_landmark_full"]
    side = model.size[0]
    for region in look_closer(models["pose_detection"], frame, _GRID, _SIDE, least, most, _region):
        rows, score, _, heat, _ = model(crop_region(frame, region, side, "border"))
        if float(score.flatten()[0]) >= SURE:
            rows = rows.view(-1, 5)
            points = refine(rows[:, :2] / side, torch.sigmoid(heat[0]).permute(2, 0, 1))
            found.append((to_picture(points[:33], region), torch.sigmoid(rows[:33, 3])))
    return found


def _region(detection: Detection, whole: Region) -> Region:
    """Return a square around a body: its first point is the middle of the hips, its second above the head."""
    from flowsynth.functional.landmarks.region import Region, to_picture

    (x0, y0), (x1, y1) = to_picture(detection.points[:2], whole).tolist()
    side = _MARGIN * 2 * math.hypot(x1 - x0, y1 - y0)
    return Region(x0, y0, side, math.atan2(y1 - y0, x1 - x0) + math.pi / 2)


def draw_bodies(frame: Tensor, bodies: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the bodies as skeletons on black, (1, 3, H, W)."""
    import torch

    from flowsynth.functional.landmarks.skeleton import body_joints, draw_skeleton

    canvas = torch.zeros(frame.shape[1:])
    unit = max(1.0, 4 * min(frame.shape[-2:]) / DRAWN_AT)
    for points, sure in reversed(bodies):
        joints, seen = body_joints(points, sure)
        draw_skeleton(canvas, joints, seen >= SURE, unit)
    return canvas[None].to(frame.device)


DETECTOR = Pose()
