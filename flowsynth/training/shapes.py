"""Drawn shapes with captions: the world in which meaning can be measured."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (247, 127, 0),
    "yellow": (252, 211, 45),
    "green": (46, 150, 70),
    "cyan": (60, 200, 215),
    "blue": (35, 80, 200),
    "purple": (125, 50, 170),
    "pink": (245, 130, 180),
    "brown": (120, 75, 40),
    "black": (20, 20, 24),
    "white": (245, 245, 245),
    "gray": (128, 128, 128),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = {"small": 0.15, "": 0.22, "large": 0.31}  # radius over the side
SIDES = {"left": (0.28, 0.5), "right": (0.72, 0.5), "top": (0.5, 0.28), "bottom": (0.5, 0.72), "": (0.5, 0.5)}
_SIDE_TEXT = {
    "left": ("on the left", "left", "at the left side"),
    "right": ("on the right", "right", "at the right side"),
    "top": ("at the top", "top", "on the top"),
    "bottom": ("at the bottom", "bottom", "on the bottom"),
    "": ("in the center", "center", ""),
}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_REACH = 0.27  # of the side: how far from the middle a moving shape starts and ends
_SUPERSAMPLING = 4
#: What stands for an attribute that nobody says.
UNSAID = "unsaid"
#: What captions may leave out where a control says the rest, and where nothing does.
CONTROLLED, OPEN = ("name", "size", "side"), ("name", "size", "side", "colour", "background")
_FORGOTTEN = ("name", "size", "side", "colour")  # of a shape, where it isn't said
_HINTS = (("name",), ("colour",), ("background",), ("name", "size", "colour"))
#: How `canny` finds all outlines of drawings: many of their colours are of one brightness.
DRAWN_EDGES: dict[str, Any] = {"color": True, "low": 0.04, "high": 0.08}


@dataclass(frozen=True)
class Shape:
    """One shape of a drawing: everything its caption says.

    A shape that is ``moving`` (a key of ``DIRECTIONS``, or "") has no side. In what captions say of a drawing
    any attribute but that may be `UNSAID`.
    """

    name: str
    colour: str
    size: str
    side: str
    moving: str = ""


@dataclass(frozen=True)
class Drawing:
    """One or two shapes on a background of one colour."""

    shapes: tuple[Shape, ...]
    background: str

    @property
    def moves(self) -> bool:
        """Whether any of its shapes does."""
        return any(shape.moving for shape in self.shapes)

    @property
    def simple(self) -> bool:
        """Whether it shows one shape, which stands still."""
        return len(self.shapes) == 1 and not self.moves

    def vague(self, rng: np.random.Generator, leave_out: Sequence[str]) -> Drawing:
        """Forgets about half of what a caption may leave out: `CONTROLLED` or `OPEN`."""
        shapes = [_forget(shape, [key for key in leave_out if rng.random() < 0.5]) for shape in self.shapes]
        grounded = "background" not in leave_out or rng.random() < 0.5
        return Drawing(tuple(shapes), self.background if grounded else UNSAID)

    def hint(self, rng: np.random.Generator) -> Drawing:
        """Forgets all but one thing that the drawing shows."""
        shape = replace(self.shapes[int(rng.integers(len(self.shapes)))], moving="")
        said = _HINTS[int(rng.integers(len(_HINTS)))]
        shape = _forget(shape, [key for key in _FORGOTTEN if key not in said])
        return Drawing((shape,), self.background if "background" in said else UNSAID)

    def caption(self, rng: np.random.Generator) -> str:
        """Describes what is said; words come in varied order, so that none is always last."""
        joined = " and ".join(_describe(shape, rng) for shape in self.shapes)
        ground = self.background
        if ground == UNSAID:
            return joined
        forms = (
            f"{joined} on a {ground} background",
            f"{joined}, {ground} background",
            f"{ground} background, {joined}",
            f"on a {ground} background {joined}",
        )
        return forms[int(rng.integers(len(forms)))]

    def word(self) -> str:
        """Names the one thing that a hint says, as a short or a negative prompt may."""
        if self.background != UNSAID:
            return f"{self.background} background"
        [shape] = self.shapes
        words = [word for word in (shape.size, shape.colour, shape.name) if word not in ("", UNSAID)]
        return words[0] if UNSAID in (shape.colour, shape.name) else f"a {' '.join(words)}"

    def render(
        self, size: int, rng: np.random.Generator, phase: float | None = None, stretch: float = 1.0
    ) -> NDArray[np.uint8]:
        """Draws at ``size`` pixels a side with smooth edges and slight variations: uint8 HWC.

        Args:
            size: Pixels.
            rng: Source of randomness.
            phase: Where moving shapes are on their way, 0 to 1; None draws it.
            stretch: Factor for the radius of all shapes.
        """
        side = size * _SUPERSAMPLING
        image = Image.new("RGB", (side, side), _vary(self.background, rng))
        pen = ImageDraw.Draw(image)
        for shape in self.shapes:
            _draw(pen, shape, side, rng, phase, stretch)
        return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def random_drawing(
    rng: np.random.Generator, pairs_share: float = 0.3, names: Sequence[str] = SHAPES
) -> Drawing:
    """Returns a random drawing of one shape or of two on opposite sides.

    Args:
        rng: Source of randomness.
        pairs_share: How many drawings show two shapes, 0 to 1.
        names: Shapes to draw from; one that is said twice comes twice as often.
    """
    background, *colours = (str(c) for c in rng.permutation(list(COLOURS))[:3])
    if rng.random() < pairs_share:
        sides = ("left", "right") if rng.random() < 0.5 else ("top", "bottom")
        pair = (Shape(_pick(names, rng), c, "small", s) for c, s in zip(colours, sides, strict=True))
        return Drawing(tuple(pair), background)
    if rng.random() < 0.25:
        return moving_drawing(rng)
    size, side = _pick(tuple(SIZES), rng), _pick(tuple(SIDES), rng)
    return Drawing((Shape(_pick(names, rng), colours[0], size, side),), background)


def moving_drawing(rng: np.random.Generator) -> Drawing:
    """Returns a drawing of one shape that moves in a random direction."""
    background, colour = (str(c) for c in rng.permutation(list(COLOURS))[:2])
    name, size, direction = (_pick(tuple(names), rng) for names in (SHAPES, SIZES, DIRECTIONS))
    return Drawing((Shape(name, colour, size, "", direction),), background)


def every_drawing() -> list[Drawing]:
    """Returns all drawings of one shape that stands still."""
    places = list(itertools.product(SHAPES, SIZES, SIDES))
    return [
        Drawing((Shape(name, colour, size, side),), background)
        for colour, background in itertools.permutations(COLOURS, 2)
        for name, size, side in places
    ]


def render_clip(drawing: Drawing, size: int, frames: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws a clip whose moving shapes travel evenly over most of their way: uint8 THWC."""
    begin, end = rng.uniform(0, 0.1), rng.uniform(0.9, 1)
    seed = int(rng.integers(2**31))  # the same variations in every frame
    phases = np.linspace(begin, end, frames)
    return np.stack([drawing.render(size, np.random.default_rng(seed), float(p)) for p in phases])


def _describe(shape: Shape, rng: np.random.Generator) -> str:
    sides = ("",) if shape.side == UNSAID else _SIDE_TEXT[shape.side]
    place = f"moving {shape.moving}" if shape.moving else _pick(sides, rng)
    adjectives = [word for word in (shape.size, shape.colour) if word not in ("", UNSAID)]
    noun = " ".join([*adjectives, "shape" if shape.name == UNSAID else shape.name])
    if place and rng.random() < 0.5:
        return f"{place}, a {noun}"
    return f"a {noun} {place}".rstrip()


def _forget(shape: Shape, keys: Sequence[str]) -> Shape:
    return replace(shape, **{key: UNSAID for key in keys if key in _FORGOTTEN})


def _draw(
    pen: ImageDraw.ImageDraw,
    shape: Shape,
    side: int,
    rng: np.random.Generator,
    phase: float | None,
    stretch: float,
) -> None:
    radius = SIZES[shape.size] * side * stretch * rng.uniform(0.97, 1.03)
    jitter = rng.uniform(-0.012, 0.012, 2)
    # A still of something that moves shows it on the farther half of its way more often than not: so the
    # networks that see stills only learn what a direction is, and motion modules can tell it from them.
    way = 2 * (rng.random() ** 0.5 if phase is None else phase) - 1
    travelled = np.array(DIRECTIONS.get(shape.moving, (0, 0))) * way * _REACH
    x, y = (np.array(SIDES[shape.side]) + travelled + jitter) * side
    colour = _vary(shape.colour, rng)
    if shape.name == "circle":
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
        return
    corners = outline(shape.name, rng.uniform(-0.06, 0.06)) * radius + [x, y]
    pen.polygon([(float(px), float(py)) for px, py in corners], fill=colour)


def outline(name: str, turn: float = 0.0) -> NDArray[np.float64]:
    """Returns the corners of a square, triangle or star on the unit circle, turned by radians."""
    count, start = {"square": (4, np.pi / 4), "triangle": (3, -np.pi / 2), "star": (10, -np.pi / 2)}[name]
    angles = start + turn + np.arange(count) * 2 * np.pi / count
    radii = np.where(np.arange(count) % 2, 0.42, 1.0) if name == "star" else np.ones(count)
    points: NDArray[np.float64] = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    return points


def _vary(colour: str, rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.integers(-9, 10, 3), 0, 255))
    return red, green, blue


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def draw_noise_patches(count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws random ellipses, polygons and lines in random colours: flat areas and hard edges.

    Args:
        count: Number of patches.
        size: Side in pixels.
        rng: Source of randomness.

    Returns:
        uint8 array (count, size, size, 3).
    """
    return np.stack([_patch(size, rng) for _ in range(count)])


def _patch(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    side = size * _SUPERSAMPLING
    image = Image.new("RGB", (side, side), _any_colour(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 6))):
        points = rng.uniform(-0.2, 1.2, (int(rng.integers(2, 6)), 2)) * side
        corners = [(float(x), float(y)) for x, y in points]
        colour = _any_colour(rng)
        if len(corners) == 2 and rng.random() < 0.5:
            pen.line(corners, fill=colour, width=int(rng.integers(2, 5 * _SUPERSAMPLING)))
        elif len(corners) == 2:
            low, high = points.min(0), points.max(0)
            pen.ellipse([*map(float, low), *map(float, high)], fill=colour)
        else:
            pen.polygon(corners, fill=colour)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def _any_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue
