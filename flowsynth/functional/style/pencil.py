"""Pencil: contours, and hatching along the forms in several layers."""

import math

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import rgb_to_ycc
from flowsynth.functional.picture.structure import sobel
from flowsynth.functional.style.bilateral import guided_enlarge
from flowsynth.functional.style.flatten import flatten
from flowsynth.functional.style.ink import Pen, ink
from flowsynth.functional.style.planes import detail, enlarged, reduced, short_side, units
from flowsynth.functional.style.strokes import strokes
from flowsynth.functional.style.texture import paper_grain

__all__ = ["pencil_sketch"]

#: Turn against the form in degrees, tone at which the layer sets in, how softly, and its strength.
_LAYERS = (
    (0.0, 0.86, 0.40, 0.36),
    (40.0, 0.62, 0.32, 0.48),
    (-40.0, 0.42, 0.28, 0.60),
    (20.0, 0.26, 0.22, 0.66),
)
_PEN = Pen(1.1, gains=(24.0, 40.0), offsets=(0.004, 0.003), doubt=0.008)
_HABIT = math.radians(-43)  # how a right hand hatches where nothing leads it
_PULL = 1.5e-3  # energy of that habit: it yields to gradients above four percent a pixel


def pencil_sketch(frames: Tensor, *, contour: float = 1.0, hatch: float = 1.0, grain: float = 1.0) -> Tensor:
    """Render frames as a graphite drawing.

    Shade comes from four layers of hatching, each setting in softly below its own tone (tonal art maps,
    Praun et al. 2001), the first along the forms and the others turned against it. Strokes lie in tiles
    fixed to the sheet.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        contour: strength of the outlines.
        hatch: strength of the shading.
        grain: strength of the paper's tooth.

    Returns:
        `(T, 3, H, W)` in [0, 1], graphite on warm paper.
    """
    ycc = rgb_to_ycc(frames)
    tone, small = ycc[:, :1], reduced(ycc, 360)
    flat = flatten(small, 0.004)[:, :1]
    base = guided_enlarge(flat, small[:, :1], tone, 1.5, 2e-3) if flat.shape != tone.shape else flat
    lost, weight = detail(tone, base, max(0.5, 0.15 * units(tone)), 0.03, 0.08)
    work = reduced((base + lost * weight).clamp(0, 1), 720)
    graphite = enlarged(_shade(work, _form(reduced(flat, 180), work), hatch), tone)
    graphite = graphite * (1 - 0.85 * contour * ink(tone, flat, _PEN)).clamp(0, 1)
    height, width = work.shape[-2:]
    paper = paper_grain(height, width, max(1.5, 0.36 * units(work)), frames.device)
    graphite = graphite + 0.12 * grain * enlarged(paper, tone) * (4 * graphite * (1 - graphite))
    sheet = torch.tensor([0.985, 0.975, 0.95], device=frames.device).view(1, 3, 1, 1)
    lead = torch.tensor([0.13, 0.13, 0.15], device=frames.device).view(1, 3, 1, 1)
    return (lead + (sheet - lead) * graphite).clamp(0, 1)


def _form(plane: Tensor, like: Tensor) -> Tensor:
    """Return the cosine and sine of twice the angle along the forms, `(N, 2, H, W)` in the size of `like`.

    Angles are doubled, because a direction has no sign; so they can be averaged and enlarged.
    """
    gx, gy = sobel(plane)
    products = torch.cat((gx.square() - gy.square(), 2 * gx * gy), dim=1)
    across = gaussian_blur(products, 3.6 * units(plane), "replicate")
    habit = torch.tensor([math.cos(2 * _HABIT), math.sin(2 * _HABIT)], device=plane.device).view(1, 2, 1, 1)
    along = enlarged(_unit(_PULL * habit - across), like)
    return _unit(along)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.square().sum(1, keepdim=True).sqrt().clamp(min=1e-9)


def _shade(tone: Tensor, form: Tensor, hatch: float) -> Tensor:
    """Hatch a plane of tones; 1 is paper."""
    spacing = round(max(3.0, 0.0062 * short_side(tone)), 2)
    shade = torch.ones_like(tone)
    cosine, sine = form.chunk(2, dim=1)
    for turn, onset, softness, strength in _LAYERS:
        c, s = math.cos(math.radians(2 * turn)), math.sin(math.radians(2 * turn))
        lines = strokes(cosine * c - sine * s, sine * c + cosine * s, spacing)
        amount = ((onset - tone) / softness).clamp(0, 1)
        shade = shade * (1 - hatch * strength * amount * torch.sigmoid(2.4 * (lines + 2.2 * amount - 1.1)))
    return shade
