"""Small real files, written with PyAV, that the media tests read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from flowsynth.media.atomic import write_bytes
from flowsynth.media.pictures import SUFFIXES, PictureFormat, encode_picture

Array = npt.NDArray[Any]
MakeClip = Callable[..., Path]


def picture(index: int, width: int, height: int, dtype: type = np.uint8) -> Array:
    """A gradient with a bright bar at column 3 * index and the index in a flat patch, so frames differ."""
    rng = np.random.default_rng(index)
    limit = np.iinfo(dtype).max
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x / width, y / height, np.full(x.shape, (index % 16) / 16)], axis=2) * limit * 0.8
    image[:, (3 * index) % width : (3 * index) % width + 4] = limit
    image[: height // 4, : width // 4] = rng.integers(0, limit, 3)
    return image.astype(dtype)


def write_picture(path: Path, image: Array, *, quality: int = 95, text: str = "") -> None:
    """Writes a picture atomically in the format of its suffix."""
    formats: dict[str, PictureFormat] = {suffix: name for name, suffix in SUFFIXES.items()}
    write_bytes(path, encode_picture(image, formats[path.suffix], quality=quality, text=text))


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Writes a clip of ``count`` frames; ``ticks`` gives each frame's timestamp for a variable rate."""

    def make(
        name: str = "clip.mp4",
        *,
        codec: str = "libx264",
        count: int = 30,
        size: tuple[int, int] = (64, 48),
        rate: Fraction | int = 24,
        pixel_format: str = "yuv420p",
        options: dict[str, str] | None = None,
        container: dict[str, str] | None = None,
        ticks: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        rotation: tuple[float, bool] | None = None,
        frame: Callable[[int], Array] | None = None,
        source_format: str = "rgb24",
        aspect: Fraction | None = None,
    ) -> Path:
        path = tmp_path / name
        base = time_base or 1 / Fraction(rate)
        with av.open(str(path), "w", options=container or {}) as output:
            stream = output.add_stream(codec, rate=rate, options=options or {})
            stream.width, stream.height, stream.pix_fmt = *size, pixel_format
            stream.codec_context.time_base = base
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            if rotation is not None:
                stream.set_display_rotation(rotation[0], hflip=rotation[1])
            for index in range(count):
                image = frame(index) if frame else picture(index, *size)
                shown = av.VideoFrame.from_ndarray(image, format=source_format)
                shown.pts = ticks[index] if ticks else index
                shown.time_base = base
                output.mux(stream.encode(shown))
            output.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def audio_only(tmp_path: Path) -> Path:
    """Half a second of a tone as WAV inside Matroska: a media file without a picture."""
    path = tmp_path / "tone.mka"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16_000)
        stream.layout = "mono"
        wave = (np.sin(np.arange(8_000) / 10) * 8_000).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        sound.sample_rate = 16_000
        sound.pts = 0
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """Copies the first ``share`` of a file's bytes, as an interrupted download leaves it."""
    data = path.read_bytes()
    target = path.with_name(f"cut_{path.name}")
    target.write_bytes(data[: int(len(data) * share)])
    return target
