from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowsynth.media.errors import (
    EncodeSettingsError,
    MediaNotFoundError,
    NotMediaError,
    PictureTooLargeError,
    TruncatedMediaError,
)
from flowsynth.media.pictures import encode_picture, read_picture
from tests.media.conftest import picture, write_picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    image = picture(1, 40, 24)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path, exif=exif)
    # TIFF 6.0, tag 274: where row 0 and column 0 of the stored picture are in the upright one.
    upright = {
        1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1],
        5: image.transpose(1, 0, 2), 6: np.rot90(image, -1),
        7: image[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(image, 1),
    }[orientation]  # fmt: skip
    assert (read_picture(path) == upright).all()


def test_grey_palette_cmyk_and_alpha(tmp_path: Path) -> None:
    grey = picture(1, 40, 24)[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_picture(tmp_path / "grey.png") == grey[:, :, None]).all()
    Image.fromarray(picture(1, 40, 24)).quantize(8).save(tmp_path / "palette.png")
    assert read_picture(tmp_path / "palette.png").shape == (24, 40, 3)
    Image.fromarray(picture(1, 40, 24)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "cmyk.jpg").astype(int) - picture(1, 40, 24)).mean() < 4
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:] = (200, 100, 0, 51)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    read = read_picture(tmp_path / "alpha.png")
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[0, 3].tolist() == [244, 224, 204]
    assert read_picture(tmp_path / "alpha.png", background=(0, 0, 0))[0, 3].tolist() == [40, 20, 0]


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = picture(1, 40, 24, np.uint16)
    write_picture(tmp_path / "deep.png", deep, text="kept")
    assert (read_picture(tmp_path / "deep.png", deep=True) == deep).all()
    assert np.abs(read_picture(tmp_path / "deep.png").astype(int) - deep / 257).max() < 1.5
    Image.fromarray(deep[:, :, 0]).save(tmp_path / "grey.png")
    assert (read_picture(tmp_path / "grey.png", deep=True) == deep[:, :, :1]).all()
    assert np.abs(read_picture(tmp_path / "grey.png").astype(int) - deep[:, :, :1] / 257).max() <= 0.51
    write_picture(tmp_path / "plain.png", picture(1, 40, 24))
    assert read_picture(tmp_path / "plain.png", deep=True).dtype == np.uint8


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 255)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], lossless=True)
    assert (read_picture(tmp_path / "a.webp") == 0).all()


@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    path.write_bytes(encode_picture(picture(4, 33, 21), format, quality=100))  # type: ignore[arg-type]
    assert (read_picture(path) == picture(4, 33, 21)).all()
    assert encode_picture(picture(4, 33, 21), format) == encode_picture(picture(4, 33, 21), format)  # type: ignore[arg-type]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (12_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(9)))
            + chunk(b"IEND", b"")
        )
        (tmp_path / "bomb.png").write_bytes(data)
        with pytest.raises(PictureTooLargeError, match="at most 134,217,728 pixels"):
            read_picture(tmp_path / "bomb.png")


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    write_picture(tmp_path / "a.png", picture(1, 200, 100))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    for name, kind in {
        "none.png": MediaNotFoundError,
        "text.png": NotMediaError,
        "": NotMediaError,
        "cut.png": TruncatedMediaError,
        "float.tiff": NotMediaError,
    }.items():
        with pytest.raises(kind) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(EncodeSettingsError, match="float64"):
        write_picture(tmp_path / "a.png", np.zeros((4, 4, 3)))
