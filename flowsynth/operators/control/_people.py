"""What the detectors of people share: MediaPipe's models, run by LiteRT on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.nets.roles import PEOPLE
from flowsynth.operators.control._detector import Detector, DetectorParams, Kind

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.functional.landmarks.detection import Detection
    from flowsynth.functional.landmarks.region import Region
    from flowsynth.nets.people.litert import LiteModel, LiteModels

_OVERLAP = 0.3
#: Confidence in a mesh, a body or a joint that counts.
SURE = 0.5
#: Widths on maps are those of pictures whose short side is this.
DRAWN_AT = 512


class PeopleDetector(Detector):
    """A detector by models of a name of the catalogue."""

    kind = Kind.PEOPLE
    role = PEOPLE
    runs_by: ClassVar[tuple[str, str]] = ("ai-edge-litert", "pip install 'flowsynth-engine[litert]'")

    def models(self, ctx: RunContext, params: DetectorParams) -> LiteModels:
        """Load them."""
        from flowsynth.models.networks import load_network

        return load_network(ctx, PEOPLE, self.weights_of(params))


def look_closer(
    model: LiteModel,
    frame: Tensor,
    grid: tuple[tuple[int, int], ...],
    side: int,
    least: float,
    most: int,
    region_of: Callable[[Detection, Region], Region],
) -> list[Region]:
    """Return where a detector sees something.

    Args:
        model: the detector.
        frame: (1, 3, H, W) in [0, 1].
        grid: its grids, as (cells along a side, anchors in a cell).
        side: of the picture that it takes.
        least: confidence below which something does not count.
        most: how much at most, the surest.
        region_of: where to look closer, from a detection and the whole frame.
    """
    from flowsynth.functional.landmarks.detection import anchors, decode, merge
    from flowsynth.functional.landmarks.region import crop_region, frame_region

    whole = frame_region(*frame.shape[-2:])
    raw, logits = model(2 * crop_region(frame, whole, side, "zeros") - 1)
    found = decode(raw[0], logits[0, :, 0], anchors(grid), side, least)
    return [region_of(detection, whole) for detection in merge(found, _OVERLAP, most)]
