"""Real files that readers meet and graphs seldom expect: black, cut, tiny, odd, deep, damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]


def scene(index: int, size: tuple[int, int], seed: int = 0) -> Array:
    """A smooth picture that pans by two pixels a frame, (H, W, 3) uint8; another one for another seed."""
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    x = x + 2 * index
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(0.05, 0.5, (3, 3))]
    level = 60 + 120 * (seed % 2)
    picture: Array = np.clip(np.stack(waves, axis=2) * 50 + level, 0, 255).astype(np.uint8)
    return picture


def write(
    path: Path,
    pictures: Sequence[Array],
    *,
    codec: str = "ffv1",
    stored: str = "bgr0",
    given: str = "rgb24",
    ticks: Sequence[int] | None = None,
    rate: int = 12,
) -> Path:
    """Encode pictures of one size; `ticks` are timestamps in 1/1000 s."""
    base = Fraction(1, 1000) if ticks else Fraction(1, rate)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        height, width = pictures[0].shape[:2] if pictures else (48, 64)
        stream.width, stream.height, stream.pix_fmt = width, height, stored
        stream.codec_context.time_base = base
        output.start_encoding()
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=given)
            frame = frame if given == stored else frame.reformat(format=stored)
            frame.pts, frame.time_base = ticks[index] if ticks else index, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def pan(count: int, size: tuple[int, int] = (64, 48)) -> list[Array]:
    return [scene(index, size) for index in range(count)]


def deep(picture: Array) -> Array:
    """A little more than 8 bits."""
    scaled: Array = picture.astype(np.uint16) * np.uint16(257) // np.uint16(2)
    return scaled


def with_alpha(picture: Array) -> Array:
    alpha = np.zeros((*picture.shape[:2], 1), np.uint8)
    alpha[:, picture.shape[1] // 2 :] = 255
    return np.concatenate([picture, alpha], axis=2)


def _truncated(path: Path) -> Path:
    data = write(path, pan(40), codec="libx264", stored="yuv420p").read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def _text(path: Path) -> Path:
    path.write_text("not a video\n" * 40)
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _sound(path: Path) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16_000)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8_000), np.int16), format="s16", layout="mono")
        sound.sample_rate, sound.pts = 16_000, 0
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@dataclass(frozen=True)
class Odd:
    """A file, and the frames that it shows.

    Attributes:
        write: writes it to a path.
        shown: (H, W, 3) uint8 each, as they are to be read.
        close: levels by which a codec, or colours with fewer bits, may differ in the mean; 0 is bit for bit.
    """

    write: Callable[[Path], Path]
    shown: Sequence[Array]
    close: int


def _clip(
    pictures: Sequence[Array], shown: Sequence[Array] | None = None, close: int = 0, **options: Any
) -> Odd:
    return Odd(lambda path: write(path, pictures, **options), pictures if shown is None else shown, close)


def _grey(picture: Array) -> Array:
    return np.repeat(picture[..., :1], 3, axis=2)


def _halved(picture: Array) -> Array:
    levels: Array = (deep(picture) / 257).round().astype(np.uint8)
    return levels


def _over_white(picture: Array) -> Array:
    half: Array = picture.copy()
    half[:, : picture.shape[1] // 2] = 255
    return half


_BLACK = np.zeros((48, 64, 3), np.uint8)
_THREE, _DEEP = pan(3), [deep(picture) for picture in pan(3)]
_ALPHA = [with_alpha(x) for x in _THREE], [_over_white(x) for x in _THREE]
_CUT = _THREE + [scene(index, (64, 48), seed=1) for index in range(3)]
#: Clips that every operator takes, by file name.
CLIPS: dict[str, Odd] = {
    "plain.mkv": _clip(pan(5)),
    "black.mkv": _clip([_BLACK] * 4),
    "black_between.mkv": _clip([*_THREE, _BLACK, _BLACK, *_THREE]),
    "cut.mkv": _clip(_CUT),
    "one_frame.mkv": _clip(pan(1)),
    "one_frame.mp4": _clip(pan(1), close=9, codec="libx264", stored="yuv444p"),
    "two_frames.mkv": _clip(pan(2)),
    "grey.mkv": _clip([x[..., 0] for x in _THREE], [_grey(x) for x in _THREE], stored="gray", given="gray"),
    "grey_16.mkv": _clip(
        [x[..., 0] for x in _DEEP],
        [_grey(_halved(x)) for x in _THREE],
        1,
        stored="gray16le",
        given="gray16le",
    ),
    "ten_bits.mkv": _clip(_DEEP, [_halved(x) for x in _THREE], 3, stored="yuv444p10le", given="rgb48le"),
    "sixteen_bits.mkv": _clip(_DEEP, [_halved(x) for x in _THREE], 1, stored="gbrp16le", given="rgb48le"),
    "alpha.mkv": _clip(*_ALPHA, stored="bgra", given="rgba"),
    "alpha.mov": _clip(*_ALPHA, codec="png", stored="rgba", given="rgba"),
    # 6 frames in 0.7 s and a little: frames are taken each 0.14 s.
    "variable_rate.mkv": _clip(
        pan(6), [pan(6)[k] for k in (0, 2, 2, 4, 4, 5)], ticks=[0, 40, 80, 300, 340, 700]
    ),
    "odd_150x100.mkv": _clip(pan(2, (150, 100))),
    "odd_641x361.mkv": _clip(pan(2, (641, 361))),
    "tiny_33x7.mkv": _clip(pan(3, (33, 7))),
    "tiny_3x2.mkv": _clip(pan(3, (3, 2))),
    "pixel.mkv": _clip(pan(3, (1, 1))),
}
#: Files that cannot be read as a video, and what is said of them.
BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated.mp4": (_truncated, "expected a whole video file"),
    "truncated.mkv": (_truncated, "found the file's end after"),
    "text.mp4": (_text, "expected a video file, found text"),
    "empty.mp4": (_empty, "an empty file"),
    "zero_frames.mkv": (lambda p: write(p, []), "without frames"),
    "zero_frames.mp4": (
        lambda p: write(p, [], codec="libx264", stored="yuv420p"),
        "a video stream, found none",
    ),
    "sound.mka": (_sound, "found only audio"),
    "folder.mp4": (_folder, "is a folder"),
    "missing.mp4": (lambda p: p, "no such file"),
}


def _picture(mode: str, size: tuple[int, int] = (40, 34), **options: Any) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        picture = Image.fromarray(scene(0, size)).convert(mode)
        picture.save(path, **options)
        return path

    return make


def _grey_16(path: Path) -> Path:
    Image.fromarray(deep(scene(0, (40, 34))[..., 0])).save(path)
    return path


def _alpha(mode: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        Image.fromarray(with_alpha(scene(0, (40, 34))), "RGBA").convert(mode).save(path)
        return path

    return make


def _palette_hole(path: Path) -> Path:
    Image.fromarray(scene(0, (40, 34))).convert("P").save(path, transparency=0)
    return path


def _rgb(picture: Image.Image) -> Array:
    return np.asarray(picture.convert("RGB"))


def _with_hole(picture: Array) -> Array:
    indexed = Image.fromarray(picture).convert("P")
    return np.where(np.asarray(indexed)[..., None] == 0, np.uint8(255), _rgb(indexed))


def _half_a_png(path: Path) -> Path:
    data = _picture("RGB")(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


_SIZE = (40, 34)
_PICTURE = scene(0, _SIZE)
#: Pictures that every operator takes.
PICTURES: dict[str, Odd] = {
    "grey.png": Odd(_picture("L"), [_rgb(Image.fromarray(_PICTURE).convert("L"))], 0),
    "one_bit.png": Odd(_picture("1"), [_rgb(Image.fromarray(_PICTURE).convert("1"))], 0),
    "grey_16.png": Odd(_grey_16, [_grey(_halved(_PICTURE))], 1),
    "grey_alpha.png": Odd(_alpha("LA"), [_over_white(_rgb(Image.fromarray(_PICTURE).convert("L")))], 1),
    "alpha.png": Odd(_alpha("RGBA"), [_over_white(_PICTURE)], 0),
    "alpha.webp": Odd(_alpha("RGBA"), [_over_white(_PICTURE)], 9),
    "palette_hole.png": Odd(_palette_hole, [_with_hole(_PICTURE)], 0),
    "palette.gif": Odd(_picture("P"), [_rgb(Image.fromarray(_PICTURE).convert("P"))], 0),
    "cmyk.jpg": Odd(_picture("CMYK"), [_PICTURE], 9),
    "odd.jpg": Odd(_picture("RGB", (150, 100)), [scene(0, (150, 100))], 9),
    "pixel.png": Odd(_picture("RGB", (1, 1)), [scene(0, (1, 1))], 0),
}
#: Files that cannot be read as a picture, and what is said of them.
BROKEN_PICTURES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text.png": (_text, "expected a picture file, found data in no known picture format"),
    "half.png": (_half_a_png, "expected a whole picture"),
    "empty.png": (_empty, "an empty file"),
    "missing.png": (lambda p: p, "no such file"),
}
