"""Pencil: contour by dodging, shade by hatching."""

import torch
from torch import Tensor

from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.functional.style.bilateral import smooth_edges_kept
from flowsynth.functional.style.ink import ink_lines, line_width
from flowsynth.functional.style.texture import hatching, paper_grain

__all__ = ["pencil_sketch"]

# angle in degrees, tone below which the layer sets in, and its strength
_LAYERS = ((-42.0, 0.8, 0.5), (-61.0, 0.55, 0.5), (-20.0, 0.3, 0.55))


def pencil_sketch(frames: Tensor, *, contour: float = 1.0, hatch: float = 1.0, grain: float = 1.0) -> Tensor:
    """Render frames as a graphite drawing.

    Contours come from the colour dodge of the tone by its blurred negative, shade from three layers of
    hatching, each setting in softly below its own tone (tonal art maps, Praun et al. 2001). Strokes are
    fixed to the sheet.

    Args:
        frames: `(T, 3, H, W)` in [0, 1].
        contour: strength of the outlines.
        hatch: strength of the shading.
        grain: strength of the paper's tooth.

    Returns:
        `(T, 3, H, W)` in [0, 1], graphite on warm paper.
    """
    height, width = frames.shape[-2:]
    short = min(height, width)
    tone = smooth_edges_kept(luma(frames), strength=1.0, iterations=2)
    lines = _dodge(tone, max(1.2, 0.012 * short)) * ink_lines(tone, line_width(short), threshold=0.003)
    spacing = max(2.6, 0.011 * short)
    shade = torch.ones_like(tone)
    for number, (angle, onset, strength) in enumerate(_LAYERS):
        strokes = hatching(
            height, width, angle=angle, spacing=spacing, seed=20 + 5 * number, device=frames.device
        )
        amount = ((onset - tone) / 0.3).clamp(0, 1)
        shade = shade * (1 - hatch * strength * amount * strokes)
    paper = paper_grain(height, width, max(1.5, 0.008 * short), frames.device)
    graphite = (1 - contour * (1 - lines)).clamp(0, 1) * shade
    graphite = graphite + 0.10 * grain * paper * (4 * graphite * (1 - graphite))
    sheet = torch.tensor([0.985, 0.975, 0.95], device=frames.device).view(1, 3, 1, 1)
    lead = torch.tensor([0.13, 0.13, 0.15], device=frames.device).view(1, 3, 1, 1)
    return (lead + (sheet - lead) * graphite).clamp(0, 1)


def _dodge(tone: Tensor, sigma: float) -> Tensor:
    """Divide the tone by its blur: white on even ground, dark on the dark side of an edge.

    The offset keeps noise in the blacks, where a ratio means nothing, from showing.
    """
    return ((tone + 0.08) / (gaussian_blur(tone, sigma) + 0.08)).clamp(0, 1) ** 2
