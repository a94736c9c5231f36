"""Says what a picture of shapes shows, by arithmetic on its pixels: no model judges a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from flowsynth.training.shapes import COLOURS, SHAPES, SIZES, outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flowsynth.training.pictures import Picture

    Mask = NDArray[np.bool_]
    Colour = NDArray[np.float64]

_CONTRAST = 45  # levels: the two nearest colours of the captions differ by 66 at least
_LEAST = 0.012  # of the picture: the smallest shape that is drawn covers 0.024
_TURNS = (-0.12, -0.06, 0.06, 0.12)  # radians, as drawings are turned
_FITTINGS = 3


@dataclass(frozen=True)
class Seen:
    """One shape that was found: names as captions use them, and what they were read from.

    Attributes:
        name: The shape whose outline fits best.
        colour: The nearest named colour.
        size: "small", "" or "large".
        side: "left", "right", "top", "bottom" or "" for the centre.
        x: Centre, in sides from the left edge.
        y: Centre, in sides from the top edge.
        radius: Of the circle through its corners, in sides.
        overlap: Intersection over union with that outline.
        rgb: Median colour, levels.
        mask: bool (H, W), where it is.
    """

    name: str
    colour: str
    size: str
    side: str
    x: float
    y: float
    radius: float
    overlap: float
    rgb: Colour
    mask: Mask


@dataclass(frozen=True)
class Verdict:
    """What was seen: the background, and the shapes on it, largest first."""

    background: str
    background_rgb: Colour
    shapes: tuple[Seen, ...]

    @property
    def first(self) -> Seen | None:
        """The largest shape, if there is any."""
        return self.shapes[0] if self.shapes else None


class Outline(NamedTuple):
    """A shape in a frame: centre and radius in sides, turn in radians."""

    name: str
    x: float
    y: float
    radius: float
    turn: float


def judge(picture: Picture) -> Verdict:
    """Judges a picture (uint8 HWC, square) of shapes on a plain background.

    The background is the median of the border. What differs from it in any channel is grouped where it
    touches; each group's pixels are those nearer to its median colour than to the background, so that
    smooth edges count by half, and its name is that of the outline which overlaps it best.
    """
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, 0).astype(np.float64)
    found = [_seen(picture, mask, ground) for mask in _groups(picture, ground)]
    return Verdict(nearest_colour(ground), ground, tuple(found))


def nearest_colour(rgb: Colour) -> str:
    """Returns the name whose colour is nearest to (3,) levels."""
    return min(COLOURS, key=lambda name: float(np.square(np.array(COLOURS[name]) - rgb).sum()))


def overlap(one: Mask, other: Mask) -> float:
    """Returns the intersection over the union of two masks; 1 where both are empty."""
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0


def _groups(picture: Picture, ground: Colour) -> list[Mask]:
    """Masks of what stands out, largest first."""
    from skimage.measure import label

    differs = np.abs(picture - ground).max(-1) > _CONTRAST
    labels = label(differs, connectivity=1)
    areas = np.bincount(labels.ravel())[1:]
    order = [int(i) for i in np.argsort(-areas, kind="stable") if areas[i] >= _LEAST * labels.size]
    return [labels == i + 1 for i in order]


def _seen(picture: Picture, group: Mask, ground: Colour) -> Seen:
    rgb = np.median(picture[_inner(group)], 0).astype(np.float64)
    across = rgb - ground
    share = (picture[group] - ground) @ across / (across @ across)
    mask = np.zeros_like(group)
    mask[group] = share > 0.5
    if not mask.any():
        mask = group
    fit, best = fit_outline(mask)
    size = min(SIZES, key=lambda name: abs(np.log(SIZES[name] / fit.radius)))
    side = _side(fit.x - 0.5, fit.y - 0.5)
    return Seen(fit.name, nearest_colour(rgb), size, side, fit.x, fit.y, fit.radius, best, rgb, mask)


def _inner(mask: Mask) -> Mask:
    """Pixels whose four neighbours are in the mask too: the flat inside; all of it if there is none."""
    padded = np.pad(mask, 1)
    inside = mask & padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return inside if inside.any() else mask


def fit_outline(mask: Mask) -> tuple[Outline, float]:
    """Returns the outline that overlaps a mask (H, W) best, and by how much.

    Every named shape is brought to the mask's area and centroid; since a frame may cut a shape off, its own
    area and centroid are read from the drawn outline and corrected a few times. The two best are then turned.
    """
    upright = sorted((_fitted(mask, name) for name in SHAPES), key=lambda fit: -fit[1])
    turned = [fit._replace(turn=turn) for fit, _ in upright[:2] for turn in _TURNS if fit.name != "circle"]
    fits = [*upright, *((fit, overlap(mask, draw_outline(fit, mask.shape[0]))) for fit in turned)]
    return max(fits, key=lambda fit: fit[1])


def _fitted(mask: Mask, name: str) -> tuple[Outline, float]:
    area, centre = _moments(mask)
    fit = Outline(name, *centre, float(np.sqrt(area / _unit_area(name))), 0.0)
    best = (fit, -1.0)
    for _ in range(_FITTINGS):
        drawn = draw_outline(fit, mask.shape[0])
        made = overlap(mask, drawn)
        if made > best[1]:
            best = (fit, made)
        if not drawn.any():
            break
        drawn_area, drawn_centre = _moments(drawn)
        radius = fit.radius * float(np.sqrt(area / drawn_area))
        x, y = (now + there - here for now, there, here in zip(fit[1:3], centre, drawn_centre, strict=True))
        fit = fit._replace(x=x, y=y, radius=radius)
    return best


def _moments(mask: Mask) -> tuple[float, tuple[float, float]]:
    """Area over the picture's, and the centroid in sides."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    return float(mask.mean()), (float((columns.mean() + 0.5) / width), float((rows.mean() + 0.5) / height))


@cache
def _unit_area(name: str) -> float:
    """Area of a shape on the unit circle, by the shoelace formula."""
    if name == "circle":
        return float(np.pi)
    x, y = outline(name).T
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def draw_outline(fit: Outline, side: int) -> Mask:
    """Draws an outline as a mask (side, side): pixels that it covers by half or more."""
    fine = 4
    image = Image.new("L", (side * fine, side * fine))
    corners = _corners(fit.name, fit.turn) * fit.radius + [fit.x, fit.y]
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in corners * side * fine - 0.5], fill=255)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) >= 128


@cache
def _corners(name: str, turn: float) -> NDArray[np.float64]:
    if name != "circle":
        return outline(name, turn)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _side(x: float, y: float) -> str:
    if max(abs(x), abs(y)) < 0.11:
        return ""
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "top" if y < 0 else "bottom"
