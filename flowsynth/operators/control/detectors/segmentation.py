"""How sure each pixel shows a person, from black to white; for people near the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.operators.control._detector import DetectorParams, Render
from flowsynth.operators.control._people import PeopleDetector

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.people.litert import LiteModels

#: A wide frame has at least this shape; between the models' own, 1 and 16:9.
_WIDE = 4 / 3


class Segmentation(PeopleDetector):
    """People white on black."""

    default_weights: ClassVar[str] = "mediapipe-selfie"

    def open(self, ctx: RunContext, params: DetectorParams) -> Render:
        """Load the models, and find people in a frame."""
        models = self.models(ctx, params)
        return lambda frame: segment_people(models, frame)


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


DETECTOR = Segmentation()
