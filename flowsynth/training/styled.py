"""Every picture in every style, with its lines: the targets of the style world.

Styles come from the same functions as the ``stylize`` operator and lines from the same detector as
``annotate``, so that what the model learns is what the graphs feed it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from flowsynth.functional.picture.edges import canny
from flowsynth.functional.style.stylize import STYLES
from flowsynth.training.pictures import pyramid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from flowsynth.training.pictures import Picture

VERSIONS = ("photo", *STYLES)


@dataclass(frozen=True)
class StyledPicture:
    """One picture at one size, in all versions.

    Attributes:
        versions: uint8 (5, H, W, 3): the photo, then the styles in the order of ``VERSIONS``.
        lines: uint8 (H, W), 0 or 255: edges of the photo.
    """

    versions: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    lines: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def load_styled(
    pictures: dict[str, Picture], short_sides: tuple[int, ...], cache: Path
) -> list[StyledPicture]:
    """Returns all pictures at all sizes in all styles; made once, then read from the cache.

    Args:
        pictures: uint8 HWC RGB pictures.
        short_sides: Sizes in pixels; sides are cut to multiples of 8.
        cache: Folder of ``styled-*.npz``.
    """
    identity = repr((sorted(pictures), short_sides, VERSIONS, _sample_digest()))
    stored = cache / f"styled-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.npz"
    if not stored.exists():
        arrays: dict[str, Picture] = {}
        for index, made in enumerate(_render_all(pictures, short_sides)):
            arrays |= {f"versions{index}": made.versions, f"lines{index}": made.lines}
        temporary = stored.with_suffix(".tmp.npz")
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy's stub types **kwds as bool
        temporary.replace(stored)
    with np.load(stored, allow_pickle=False) as archive:
        count = len(archive.files) // 2
        return [StyledPicture(archive[f"versions{i}"], archive[f"lines{i}"]) for i in range(count)]


def _sample_digest() -> str:
    """Hashes the styles of one small picture: changed filters make a new cache."""
    y, x = np.mgrid[0:32, 0:32]
    sample = np.stack([8 * x, 8 * y, 255 * ((x // 8 + y // 8) % 2)], -1).astype(np.uint8)
    made = render_versions(sample)
    return hashlib.sha256(made.versions.tobytes() + made.lines.tobytes()).hexdigest()


def _render_all(pictures: dict[str, Picture], short_sides: tuple[int, ...]) -> Iterator[StyledPicture]:
    for picture in pyramid(pictures, short_sides):
        height, width = (side // 8 * 8 for side in picture.shape[:2])
        yield render_versions(picture[:height, :width])


def render_versions(photo: Picture) -> StyledPicture:
    """Renders one photo (uint8 HWC) in all styles and finds its lines."""
    source = to_pixels(photo[None])
    rendered = [photo, *(to_levels(style(source))[0] for style in STYLES.values())]
    edges = canny(source)[0, 0]
    return StyledPicture(np.stack(rendered), (edges * 255).to(torch.uint8).numpy())


def to_pixels(pictures: Picture) -> Tensor:
    """uint8 (B, H, W, C) to float (B, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255


def to_levels(pixels: Tensor) -> Picture:
    """Float (B, C, H, W) in [0, 1] to uint8 (B, H, W, C)."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
