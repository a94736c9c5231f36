"""One picture, one result: at 8 and at 16 bits, turned, transparent, in other colours."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from flowsynth.core.context import RunContext
from flowsynth.media.pictures import read_picture
from flowsynth.operators.files.read_image import ReadImage
from tests.media.color_maths import Array

#: PNG's colour type and channels.
KINDS = {"grey": (0, 1), "rgb": (2, 3), "grey and alpha": (4, 2), "rgba": (6, 4)}


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(values: Array, kind: str, *extra: bytes) -> bytes:
    """A PNG of these very samples, (H, W, C) uint8 or uint16."""
    height, width, _ = values.shape
    depth = values.dtype.itemsize * 8
    header = struct.pack(">IIBBBBB", width, height, depth, KINDS[kind][0], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values)
    body = b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def samples(channels: int, dtype: type) -> Array:
    rng = np.random.default_rng(1)
    return rng.integers(0, np.iinfo(dtype).max, (4, 6, channels), endpoint=True).astype(dtype)


def expected(values: Array, kind: str) -> Array:
    """Float RGB over white."""
    limit = np.iinfo(values.dtype).max
    share = values / limit
    rgb = share[..., :3] if "rgb" in kind else np.repeat(share[..., :1], 3, axis=-1)
    alpha = share[..., -1:] if kind in ("rgba", "grey and alpha") else 1.0
    return rgb * alpha + (1 - alpha)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("turn", [1, 3, 6, 5])
def test_both_paths_show_one_picture(tmp_path: Path, kind: str, dtype: type, turn: int) -> None:
    values = samples(KINDS[kind][1], dtype)
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<H", turn) + b"\0\0\0\0\0\0"
    path = tmp_path / "a.png"
    path.write_bytes(png(values, kind, chunk(b"eXIf", exif)))
    right = expected(values, kind)
    turned = {1: right, 3: right[::-1, ::-1], 6: np.rot90(right, -1), 5: right.transpose(1, 0, 2)}[turn]
    shallow, deep = read_picture(path), read_picture(path, deep=True)
    assert shallow.shape == deep.shape == turned.shape
    assert np.abs(shallow / 255 - turned).max() < 0.51 / 255 + 1e-4
    limit = np.iinfo(deep.dtype).max
    assert np.abs(deep / limit - turned).max() < 0.51 / limit + (2e-5 if dtype is np.uint16 else 0)
    for name in ("uint8", "float32"):
        frames = ReadImage(path=str(path), dtype=name).run(RunContext())
        assert frames.tensor.shape[-2:] == turned.shape[:2]


def test_sixteen_bits_in_tiff_and_ppm_are_kept(tmp_path: Path) -> None:
    values = samples(3, np.uint16)
    ppm = tmp_path / "a.ppm"
    ppm.write_bytes(b"P6\n6 4\n65535\n" + values.astype(">u2").tobytes())
    entries = [(256, 3, 1, 6), (257, 3, 1, 4), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 0)]
    entries += [(274, 3, 1, 6), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 1, values.nbytes)]
    at = 8 + 2 + 12 * len(entries) + 4
    fields = {258: at, 273: at + 6}
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, count, value in entries:
        tiff += struct.pack("<HHII", tag, kind, count, fields.get(tag, value))
    tiff += struct.pack("<I3H", 0, 16, 16, 16) + values.astype("<u2").tobytes()
    (tmp_path / "a.tif").write_bytes(tiff)
    assert (read_picture(ppm, deep=True) == values).all()
    turned = np.rot90(values, -1)
    assert (read_picture(tmp_path / "a.tif", deep=True) == turned).all()
    assert (read_picture(tmp_path / "a.tif") == (turned.astype(int) + 128) // 257).all()


def profile(primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """A profile of a matrix (columns in XYZ at D50) and one gamma."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Wide\0" + bytes(78)
    tags = [(b"desc", text), (b"wtpt", white), (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve)]
    for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags.append((name, b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65_536) for v in xyz))))
    table, data, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, element in tags:
        element += bytes(-len(element) % 4)
        table += name + struct.pack(">2I", at + len(data), len(element))
        data += element
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(24) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + data


#: Display P3 at D50.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def test_a_profile_is_applied_at_every_depth_and_said(tmp_path: Path) -> None:
    wide = profile(P3, 2.2)
    values = samples(3, np.uint8)
    shallow, deep = tmp_path / "8.png", tmp_path / "16.png"
    iccp = chunk(b"iCCP", b"w\0\0" + zlib.compress(wide))
    shallow.write_bytes(png(values, "rgb", iccp))
    deep.write_bytes(png(values.astype(np.uint16) * 257, "rgb", iccp))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(wide)), ImageCms.createProfile("sRGB")
    right = np.asarray(
        ImageCms.profileToProfile(
            Image.fromarray(values), source, target, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    )
    ctx = RunContext()
    read = ReadImage(path=str(shallow)).run(ctx).tensor[0].permute(1, 2, 0).numpy()
    assert np.abs(read.astype(int) - right).max() <= 1
    assert np.abs(right.astype(int) - values).max() > 20
    assert ctx.notes == ["8.png: colours of its profile (Wide) are brought to sRGB"]
    assert np.abs(read_picture(deep, deep=True) / 257 - right).max() <= 1
    assert (read_picture(deep) == read).all()


def test_srgb_itself_and_broken_profiles_change_nothing(tmp_path: Path) -> None:
    values = samples(3, np.uint8)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (own, own[:200], b"rubbish" * 40, profile(P3, 2.2)[:140]):
        path, ctx = tmp_path / "a.png", RunContext()
        path.write_bytes(png(values, "rgb", chunk(b"iCCP", b"w\0\0" + zlib.compress(data))))
        read = ReadImage(path=str(path)).run(ctx).tensor[0].permute(1, 2, 0).numpy()
        assert (read == values).all()
        assert ctx.notes == []


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGBA"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.array([0, 255], np.uint8), (4, 3))
    picture: Any = Image.fromarray(grey).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    for deep in (False, True):
        assert (read_picture(path, deep=deep) == grey[:, :, None]).all()


def test_a_transparent_colour_is_transparent_at_16_bits(tmp_path: Path) -> None:
    values = samples(3, np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png(values, "rgb", chunk(b"tRNS", values[1, 2].astype(">u2").tobytes())))
    for deep in (False, True):
        read = read_picture(path, deep=deep)
        assert read[1, 2].tolist() == [np.iinfo(read.dtype).max] * 3
        assert np.abs(read[0, 0] / np.iinfo(read.dtype).max - values[0, 0] / 65_535).max() < 0.01


@pytest.mark.parametrize("suffix", [".avif", ".jp2", ".jfif", ".apng", ".pnm", ".PNG"])
def test_a_folder_reads_what_a_single_file_reads(tmp_path: Path, suffix: str) -> None:
    names = {".jfif": "JPEG", ".apng": "PNG", ".pnm": "PPM", ".jp2": "JPEG2000"}
    for k in range(2):
        picture = Image.fromarray(np.full((16, 16, 3), 40 * k, np.uint8))
        picture.save(tmp_path / f"{k}{suffix}", format=names.get(suffix))
    one = ReadImage(path=str(tmp_path / f"1{suffix}")).run(RunContext())
    for path in (tmp_path, tmp_path / f"*{suffix}"):
        frames = ReadImage(path=str(path)).run(RunContext())
        assert frames.num_frames == 2
        assert (frames.tensor[1] == one.tensor[0]).all()
