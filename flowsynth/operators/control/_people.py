"""Detectors of `annotate` for people: MediaPipe's models, run by LiteRT on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowsynth.core.context import RunContext

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.landmarks.detection import Detection
    from flowsynth.functional.landmarks.region import Region
    from flowsynth.nets.people.litert import LiteModels

#: The detectors' grids, as (cells along a side, anchors in a cell), and their pictures' sides.
_FACE_GRID, _FACE_SIDE = ((48, 1),), 192
_POSE_GRID, _POSE_SIDE = ((28, 2), (14, 2), (7, 6)), 224
_OVERLAP = 0.3
#: How far around a detection a mesh or a body is looked for, times its size.
_FACE_MARGIN, _POSE_MARGIN = 1.5, 1.25
#: A wide frame has at least this shape; between the models' own, 1 and 16:9.
_WIDE = 4 / 3
#: Confidence in a mesh, a body or a joint that counts.
_SURE = 0.5
#: Widths on maps are those of pictures whose short side is this.
_DRAWN_AT = 512


def segment_people(models: LiteModels, frame: Tensor) -> Tensor:
    """Return how sure each pixel shows a person, (1, 1, H, W) in [0, 1], for a frame (1, 3, H, W)."""
    from torch.nn import functional as F

    height, width = frame.shape[-2:]
    name = "selfie_segmentation_landscape" if width >= _WIDE * height else "selfie_segmentation"
    model = models[name]
    small = F.interpolate(frame, size=model.size, mode="bilinear", align_corners=False, antialias=True)
    (mask,) = model(small)
    mask = mask.permute(0, 3, 1, 2).to(frame.device)
    return F.interpolate(mask, size=(height, width), mode="bilinear", align_corners=False)


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
    for region in _detect(detector, frame, _FACE_GRID, _FACE_SIDE, least, most, _face_region):
        points, score = model(crop_region(frame, region, _FACE_SIDE, "border"))
        if float(torch.sigmoid(score.flatten()[0])) >= _SURE:
            found.append(to_picture(points.reshape(-1, 3)[:, :2] / _FACE_SIDE, region))
    return found


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
    for region in _detect(models["pose_detection"], frame, _POSE_GRID, _POSE_SIDE, least, most, _body_region):
        rows, score, _, heat, _ = model(crop_region(frame, region, side, "border"))
        if float(score.flatten()[0]) >= _SURE:
            rows = rows.view(-1, 5)
            points = refine(rows[:, :2] / side, torch.sigmoid(heat[0]).permute(2, 0, 1))
            found.append((to_picture(points[:33], region), torch.sigmoid(rows[:33, 3])))
    return found


def _detect(
    model: Any,
    frame: Tensor,
    grid: tuple[tuple[int, int], ...],
    side: int,
    least: float,
    most: int,
    region_of: Callable[[Detection, Region], Region],
) -> list[Region]:
    """Return where to look closer."""
    from flowsynth.functional.landmarks.detection import anchors, decode, merge
    from flowsynth.functional.landmarks.region import crop_region, frame_region

    whole = frame_region(*frame.shape[-2:])
    raw, logits = model(2 * crop_region(frame, whole, side, "zeros") - 1)
    found = decode(raw[0], logits[0, :, 0], anchors(grid), side, least)
    return [region_of(detection, whole) for detection in merge(found, _OVERLAP, most)]


def _face_region(detection: Detection, whole: Region) -> Region:
    """Return a square around a face, upright where the line from its right to its left eye is level."""
    from flowsynth.functional.landmarks.region import Region, to_picture

    left, top, right, bottom = to_picture(detection.box.view(2, 2), whole).flatten().tolist()
    (x0, y0), (x1, y1) = to_picture(detection.points[:2], whole).tolist()
    side = _FACE_MARGIN * max(right - left, bottom - top)
    return Region((left + right) / 2, (top + bottom) / 2, side, math.atan2(y1 - y0, x1 - x0))


def _body_region(detection: Detection, whole: Region) -> Region:
    """Return a square around a body: its first point is the middle of the hips, its second above the head."""
    from flowsynth.functional.landmarks.region import Region, to_picture

    (x0, y0), (x1, y1) = to_picture(detection.points[:2], whole).tolist()
    side = _POSE_MARGIN * 2 * math.hypot(x1 - x0, y1 - y0)
    return Region(x0, y0, side, math.atan2(y1 - y0, x1 - x0) + math.pi / 2)


def draw_faces(frame: Tensor, faces: list[Tensor]) -> Tensor:
    """Return the faces as lines on black, (1, 3, H, W)."""
    import torch

    from flowsynth.functional.landmarks.face_map import draw_face

    canvas = torch.zeros(frame.shape[1:])
    width = max(1.0, 2 * min(frame.shape[-2:]) / _DRAWN_AT)
    for points in reversed(faces):  # the surest on top
        draw_face(canvas, points, width)
    return canvas[None].to(frame.device)


def draw_bodies(frame: Tensor, bodies: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the bodies as skeletons on black, (1, 3, H, W)."""
    import torch

    from flowsynth.functional.landmarks.skeleton import body_joints, draw_skeleton

    canvas = torch.zeros(frame.shape[1:])
    unit = max(1.0, 4 * min(frame.shape[-2:]) / _DRAWN_AT)
    for points, sure in reversed(bodies):
        joints, seen = body_joints(points, sure)
        draw_skeleton(canvas, joints, seen >= _SURE, unit)
    return canvas[None].to(frame.device)


def load_people(ctx: RunContext, weights: str) -> LiteModels:
    """Return the models of a name of the catalogue; see `load_network`."""
    from flowsynth.models.networks import load_network
    from flowsynth.nets.roles import PEOPLE

    return load_network(ctx, PEOPLE, weights)
