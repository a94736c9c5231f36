"""A face as lines: brows, eyes, nose, lips and outline of MediaPipe's face mesh."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from flowsynth.functional.show.draw import Colour, draw_line

__all__ = ["draw_face"]


def _rgb(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text)
    return red / 255, green / 255, blue / 255


#: Colour, and the points of the mesh that its lines join. Left and right are the person's own.
_PARTS: tuple[tuple[Colour, tuple[tuple[int, ...], ...]], ...] = (
    (
        _rgb("0ac80a"),  # outline, from the forehead over the person's left cheek
        (
            (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
            (152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
        ),
    ),
    (_rgb("c8c8c8"), ((168, 6, 197, 195, 5, 4), (98, 97, 2, 326, 327))),  # bridge and base of the nose
    (
        _rgb("b4dc0a"),  # right brow
        ((46, 53, 52, 65, 55), (70, 63, 105, 66, 107)),
    ),
    (
        _rgb("0adcb4"),  # left brow
        ((276, 283, 282, 295, 285), (300, 293, 334, 296, 336)),
    ),
    (
        _rgb("b4c80a"),  # right eye, lower lid and upper lid
        ((33, 7, 163, 144, 145, 153, 154, 155, 133), (33, 246, 161, 160, 159, 158, 157, 173, 133)),
    ),
    (
        _rgb("0ac8b4"),  # left eye
        ((263, 249, 390, 373, 374, 380, 381, 382, 362), (263, 466, 388, 387, 386, 385, 384, 398, 362)),
    ),
    (
        _rgb("c80a0a"),  # lips, their outer and inner edge
        (
            (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
            (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
            (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
            (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
        ),
    ),
)


def draw_face(canvas: Tensor, points: Tensor, width: float) -> None:
    """Draw a face.

    Outline green (10, 200, 10), nose grey (200, 200, 200), lips red (200, 10, 10); brow and eye on the
    person's right (180, 220, 10) and (180, 200, 10), on the left (10, 220, 180) and (10, 200, 180).

    Args:
        canvas: (3, H, W) float in [0, 1], written in place.
        points: (468, 2) x and y of the mesh in pixels.
        width: of lines in pixels.
    """
    places = [(float(x), float(y)) for x, y in points.tolist()]
    for colour, lines in _PARTS:
        for line in lines:
            for first, second in pairwise(line):
                draw_line(canvas, places[first], places[second], width, colour)
