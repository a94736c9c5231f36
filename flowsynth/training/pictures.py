"""The picture collection: fetched once by checksum, reduced, split into training and held-out."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import urllib.request
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from flowsynth.media.pictures import open_picture
from flowsynth.training.archives import deb_members, rcc_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]  # HWC, RGB


class Package(BaseModel):
    """A Debian package with pictures in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    sha256: str
    licence: str
    members: tuple[str, ...]  # glob patterns; "a.rcc!b" looks inside a resource file
    min_bytes: int = 0


class PictureConfig(BaseModel):
    """Where pictures come from, and which of them are never trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    short_side: int = 320
    packages: tuple[Package, ...] = ()
    scikit_image: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()  # pictures of your own
    held_out: tuple[str, ...] = ()
    subjects: dict[str, str] = {}  # file-name pattern -> what captions call it


def load_pictures(config: PictureConfig, cache: Path) -> tuple[dict[str, Picture], dict[str, Picture]]:
    """Returns (training, held-out) pictures by name, fetching and reducing them on first use.

    Args:
        config: The sources and the held-out names.
        cache: Folder for downloads and for ``pictures.npz``.

    Returns:
        Two mappings of name to uint8 HWC RGB pictures whose short side is at most
        ``config.short_side`` pixels.
    """
    stamp = hashlib.sha256(config.model_dump_json(exclude={"subjects", "held_out"}).encode()).hexdigest()[:12]
    stored = cache / f"pictures-{stamp}.npz"
    if not stored.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pictures = dict(_all_pictures(config, cache))
        temporary = stored.with_suffix(".tmp.npz")
        np.savez(temporary, **pictures)  # type: ignore[arg-type]  # numpy's stub types **kwds as bool
        temporary.replace(stored)
    with np.load(stored, allow_pickle=False) as archive:
        everything = {name: archive[name] for name in archive.files}
    held = {name: everything[name] for name in config.held_out if name in everything}
    return {name: p for name, p in everything.items() if name not in held}, held


def _all_pictures(config: PictureConfig, cache: Path) -> Iterator[tuple[str, Picture]]:
    for package in config.packages:
        for path, content in _package_files(package, cache):
            yield PurePosixPath(path).name, _decode(content, config.short_side)
    if config.scikit_image:
        folder = files("skimage") / "data"
        for name in config.scikit_image:
            yield name, _decode((folder / name).read_bytes(), config.short_side)

    for local in config.folders:
        for file in sorted(Path(local).iterdir()):
            yield file.name, _decode(file.read_bytes(), config.short_side)


def _package_files(package: Package, cache: Path) -> Iterator[tuple[str, bytes]]:
    outer = {pattern.partition("!")[0] for pattern in package.members}
    for path, content in deb_members(fetch(package.url, package.sha256, cache)):
        if not any(fnmatch.fnmatch(path, pattern) for pattern in outer):
            continue
        inside = rcc_members(content) if path.endswith(".rcc") else iter([("", content)])
        for inner, data in inside:
            full = f"{path}!{inner}" if inner else path
            wanted = any(fnmatch.fnmatch(full, pattern) for pattern in package.members)
            if wanted and len(data) >= package.min_bytes:
                yield full, data


def fetch(url: str, sha256: str, cache: Path) -> bytes:
    """Returns the bytes at a URL, from the cache folder after the first time.

    Args:
        url: An http(s) address.
        sha256: The expected digest in hex.
        cache: Folder that keeps the download under its file name.

    Raises:
        ValueError: If the content has another checksum.
    """
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"expected an http(s) address, got {url}")
    stored = cache / url.rpartition("/")[2]
    if not stored.exists():
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - checked above
            content = response.read()
        stored.write_bytes(content)
    content = stored.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        stored.unlink()
        raise ValueError(f"{url}: expected sha256 {sha256}, got {found}")
    return bytes(content)


def _decode(content: bytes, short_side: int) -> Picture:
    with open_picture(io.BytesIO(content)) as image:
        image.draft("RGB", (2 * short_side, 2 * short_side))
        rgb = _on_white(image)
    scale = short_side / min(rgb.size)
    if scale < 1:
        size = (round(rgb.width * scale), round(rgb.height * scale))
        rgb = rgb.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "P"):
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def pyramid(pictures: dict[str, Picture], short_sides: tuple[int, ...]) -> list[Picture]:
    """Returns every picture at several sizes, so that a crop at a random scale costs a slice.

    Args:
        pictures: uint8 HWC RGB pictures.
        short_sides: Short sides in pixels; a picture is never enlarged.
    """
    levels: list[Picture] = []
    for picture in pictures.values():
        image = Image.fromarray(picture)
        for side in short_sides:
            if side <= min(image.size):
                scale = side / min(image.size)
                size = (round(image.width * scale), round(image.height * scale))
                levels.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return levels


def random_crops(levels: list[Picture], count: int, size: int, rng: np.random.Generator) -> Picture:
    """Cuts random squares, half of them mirrored.

    Args:
        levels: uint8 HWC pictures, each at least ``size`` on both sides.
        count: Number of crops.
        size: Side in pixels.
        rng: Source of randomness.

    Returns:
        uint8 array of shape (count, size, size, 3).
    """
    # A larger level holds more different crops: draw pictures in proportion to their area's root.
    weights = np.array([np.sqrt(p.shape[0] * p.shape[1]) for p in levels])
    chosen = rng.choice(len(levels), count, p=weights / weights.sum())
    crops = np.empty((count, size, size, 3), np.uint8)
    for row, index in enumerate(chosen):
        picture = levels[index]
        top = int(rng.integers(picture.shape[0] - size + 1))
        left = int(rng.integers(picture.shape[1] - size + 1))
        crop = picture[top : top + size, left : left + size]
        crops[row] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return crops
