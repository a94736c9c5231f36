"""Real files for the tests of operators that read and write them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def picture(index: int, width: int = 64, height: int = 48) -> Array:
    """A gradient with a bar that moves by three pixels a frame."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x / width, y / height, np.full(x.shape, (index % 16) / 16)], axis=2) * 200
    image[:, (3 * index) % width : (3 * index) % width + 4] = 255
    return image.astype(np.uint8)


def write_clip(path: Path, count: int, *, sound: bool = False, size: tuple[int, int] = (64, 48)) -> Path:
    """Lossless frames at 24 a second (FFV1 in Matroska), with a tone if wanted."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
        if sound:
            audio = output.add_stream("aac", rate=16_000)
            audio.layout = "mono"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            output.mux(stream.encode(frame))
        if sound:
            samples = count * 16_000 // 24
            wave = (np.sin(np.arange(samples) / 4) * 9_000).astype(np.int16)
            for begin in range(0, samples, 1024):
                part = av.AudioFrame.from_ndarray(
                    wave[None, begin : begin + 1024], format="s16", layout="mono"
                )
                part.sample_rate, part.pts, part.time_base = 16_000, begin, Fraction(1, 16_000)
                output.mux(audio.encode(part))
            output.mux(audio.encode(None))
        output.mux(stream.encode(None))
    return path
