"""Brows, eyes, nose, lips and outline of each face as coloured lines.

From a mesh of 468 points (Bazarevsky et al., "BlazeFace", arXiv 1907.05047; Kartynnik et al., arXiv
1907.06724).
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

#: The detector's grid, as (cells along a side, anchors in a cell), and its picture's side.
_GRID, _SIDE = ((48, 1),), 192
#: How far around a detection a mesh is looked for, times its size.
_MARGIN = 1.5


class Face(PeopleDetector):
    """Faces as coloured lines on black."""

    default_weights: ClassVar[str] = "mediapipe-face"

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the models, and draw the faces of a frame."""
        models = self.models(ctx, params)
        return lambda frame: draw_faces(frame, find_faces(models, frame, params.score, params.most))


def find_faces(models: LiteModels, frame: Tensor, least: float, most: int) -> list[Tensor]:
    """Return the mesh of each face, (468, 2) x and y in pixels, for a frame (1, 3, H, W) in [0, 1].

    Args:
        models: of ``mediapipe-face``.
        frame: the frame.
        least: confidence below which a face does not count.
        most: faces at most, the surest.
    """
    import torch

    from flowsynth.functional.landmarks.region import crop_region, to_picture

    found, model = [], models["face_landmark"]
    detector = models["face_detection_full_range_sparse"]
    for region in look_closer(detector, frame, _GRID, _SIDE, least, most, _region):
        points, score = model(crop_region(frame, region, _SIDE, "border"))
        if float(torch.sigmoid(score.flatten()[0])) >= SURE:
            found.append(to_picture(points.reshape(-1, 3)[:, :2] / _SIDE, region))
    return found


def _region(detection: Detection, whole: Region) -> Region:
    """Return a square around a face, upright where the line from its right to its left eye is level."""
    from flowsynth.functional.landmarks.region import Region, to_picture

    left, top, right, bottom = to_picture(detection.box.view(2, 2), whole).flatten().tolist()
    (x0, y0), (x1, y1) = to_picture(detection.points[:2], whole).tolist()
    side = _MARGIN * max(right - left, bottom - top)
    return Region((left + right) / 2, (top + bottom) / 2, side, math.atan2(y1 - y0, x1 - x0))


def draw_faces(frame: Tensor, faces: list[Tensor]) -> Tensor:
    """Return the faces as lines on black, (1, 3, H, W)."""
    import torch

    from flowsynth.functional.landmarks.face_map import draw_face

    canvas = torch.zeros(frame.shape[1:])
    width = max(1.0, 2 * min(frame.shape[-2:]) / DRAWN_AT)
    for points in reversed(faces):  # the surest on top
        draw_face(canvas, points, width)
    return canvas[None].to(frame.device)


DETECTOR = Face()
