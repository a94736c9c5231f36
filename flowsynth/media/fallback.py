"""The clip that a first run works on: real footage, or a moving view of a shipped picture."""

from __future__ import annotations

import hashlib
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.shipped import asset_folder
from flowsynth.fetch.errors import OfflineError
from flowsynth.media.clips import clip_path, fetch_clip, find_clip
from flowsynth.media.errors import MediaNotFoundError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: The clip that "default" means.
DEFAULT_CLIP = "bikes"
WIDTH, HEIGHT, FRAMES, FPS = 320, 180, 96, 12
#: Seconds for which a failed download is not tried again: a run without network starts at once.
_RETRY_SECONDS = 3600
_PICTURES = asset_folder("pictures")


def default_clip(cache_dir: str | os.PathLike[str], *, offline: bool = False) -> tuple[Path, str]:
    """Returns the default clip and what it is.

    Without network (or ``offline``), and if the clip isn't kept yet, it is :func:`picture_clip`.

    Raises:
        ChecksumError: The download was tampered with or replaced.
        MediaNotFoundError: No network, and no shipped picture.
    """
    entry = find_clip(DEFAULT_CLIP)
    source = entry.places[0]
    failed = clip_path(entry, cache_dir).with_suffix(".unreachable")
    recent = failed.is_file() and time.time() - failed.stat().st_mtime < _RETRY_SECONDS
    try:
        path = fetch_clip(DEFAULT_CLIP, cache_dir, offline=offline or recent)
    except OfflineError as error:
        if not offline and not recent:
            failed.touch()
        why = "offline" if offline else f"{source} could not be downloaded"
        clip = picture_clip(cache_dir)
        reason = "" if offline or recent else f": {error.found}"
        return clip, f"a slow camera move over a shipped picture ({clip.name}), since {why}{reason}"
    return path, f"{entry.name}: {entry.about} ({source}; licence: {entry.licence})"


def picture_clip(cache_dir: str | os.PathLike[str], picture: Path | None = None) -> Path:
    """Makes a clip of 96 frames, 320x180, 12 a second, by moving over a picture; kept in the cache.

    Args:
        cache_dir: Folder to keep it in.
        picture: The picture; the first of those the package ships where not given.

    Raises:
        MediaNotFoundError: No picture is shipped.
    """
    source = picture or _shipped_picture()
    name = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    target = Path(cache_dir) / "assets" / f"{source.stem}-moving-{name}.mp4"
    if target.is_file():
        return target
    _make(source, target)
    return target


def _make(source: Path, target: Path) -> None:
    # Imported here: a plan over a clip that is kept needs none of it.
    import tempfile

    from flowsynth.media.codecs import EncodeSettings
    from flowsynth.media.mux import mux
    from flowsynth.media.pictures import read_picture
    from flowsynth.media.segments import encode_segment

    target.parent.mkdir(parents=True, exist_ok=True)
    image = read_picture(source)
    settings = EncodeSettings(Fraction(FPS), crf=14)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
        segment = Path(folder) / "all.nut"
        encode_segment((camera_view(image, k / (FRAMES - 1)) for k in range(FRAMES)), segment, settings)
        mux([segment], target, settings)


def camera_view(image: Array, t: float) -> Array:
    """What a camera sees that drifts to the right and closer, slowing down at both ends.

    Args:
        image: (H, W, 3) uint8.
        t: Time, 0 to 1.

    Returns:
        (180, 320, 3) uint8; the part seen shrinks from 92 % to 64 % of the largest 16:9 crop.
    """
    import numpy as np
    from PIL import Image

    height, width = image.shape[:2]
    eased = t * t * (3 - 2 * t)
    scale = min(width / WIDTH, height / HEIGHT) * (0.92 - 0.28 * eased)
    view_width, view_height = WIDTH * scale, HEIGHT * scale
    left = (width - view_width) * (0.25 + 0.3 * eased)
    top = (height - view_height) * (0.15 - 0.05 * eased)
    box = (left, top, left + view_width, top + view_height)
    return np.asarray(Image.fromarray(image).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=box))


def _shipped_picture() -> Path:
    shipped = sorted(path for path in _PICTURES.glob("*") if path.suffix.lower() in (".jpg", ".png"))
    if not shipped:
        raise MediaNotFoundError(_PICTURES, "a shipped picture to make a clip of", "none")
    return shipped[0]
