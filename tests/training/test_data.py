"""Data of the pocket family: archives, crops, styles, drawings, words."""

import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from flowsynth.functional.style.stylize import STYLES
from flowsynth.training.archives import deb_members, rcc_members
from flowsynth.training.captions import style_caption, subject_of, vocabulary
from flowsynth.training.judge import judge
from flowsynth.training.pictures import fetch, pyramid, random_crops
from flowsynth.training.shapes import COLOURS, Drawing, Shape, random_drawing
from flowsynth.training.styled import VERSIONS, render_versions
from flowsynth.training.text import build_tokenizer, tokenize
from tests.training.conftest import generated_picture


def deb(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    out = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n\n"), ("data.tar.xz", data.getvalue())):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        out += header.encode() + content + b"\n" * (len(content) % 2)
    return out


def test_deb_members_reads_the_tar_inside() -> None:
    assert dict(deb_members(deb({"usr/a.txt": b"alpha"}))) == {"usr/a.txt": b"alpha"}
    with pytest.raises(ValueError, match="ar signature"):
        list(deb_members(b"PK"))


def test_rcc_members_reads_plain_and_compressed_entries() -> None:
    import zlib

    packed = struct.pack(">I", 5) + zlib.compress(b"gamma")
    body = struct.pack(">I", 4) + b"beta" + struct.pack(">I", len(packed)) + packed

    def name(text: str) -> bytes:
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = name("b") + name("c")
    node = ">IHII"
    tree = struct.pack(node, 0, 2, 2, 1) + struct.pack(node, 0, 0, 0, 0)
    tree += struct.pack(node, len(name("b")), 1, 0, 8)
    head = 20
    layout = struct.pack(">4sIIII", b"qres", 1, head, head + len(tree), head + len(tree) + len(body))
    found = dict(rcc_members(layout + tree + body + names))
    assert found == {"b": b"beta", "c": b"gamma"}


def test_fetch_refuses_another_checksum_and_other_schemes(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"tampered")
    with pytest.raises(ValueError, match="expected sha256 00"):
        fetch("https://example.org/x.deb", "00", tmp_path)
    with pytest.raises(ValueError, match="http"):
        fetch("file:///etc/passwd", "00", tmp_path)


def test_crops_come_from_the_pictures_and_depend_on_the_seed() -> None:
    levels = pyramid({"a": generated_picture(0)}, (32, 48, 900))
    assert [min(p.shape[:2]) for p in levels] == [32, 48]
    one, same, other = (random_crops(levels, 4, 16, np.random.default_rng(s)) for s in (1, 1, 2))
    assert one.shape == (4, 16, 16, 3)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_versions_equal_what_the_styles_give() -> None:
    photo = generated_picture(1)[:48, :48].copy()
    photo[8:30, 8:30] = 255
    photo[12:20, 12:20] = 0
    made = render_versions(photo)
    assert made.versions.shape == (5, 48, 48, 3)
    assert np.array_equal(made.versions[0], photo)
    source = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    expected = (STYLES["toon"](source)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(made.versions[VERSIONS.index("toon")], expected)
    assert set(np.unique(made.lines)) == {0, 255}


def test_a_drawing_shows_what_its_caption_says() -> None:
    drawing = Drawing((Shape("circle", "red", "large", "left"),), "white")
    rng = np.random.default_rng(0)
    caption = drawing.caption(rng)
    assert all(word in caption for word in ("large", "red", "circle", "left", "white"))
    picture = drawing.render(64, rng).astype(int)
    reds = np.abs(picture - COLOURS["red"]).max(-1) < 16
    assert 0.2 < reds.mean() < 0.4
    assert reds[:, :32].sum() > 3 * reds[:, 32:].sum()
    assert np.abs(picture[0, -1] - COLOURS["white"]).max() < 16


def test_a_stretched_shape_keeps_its_outline_and_place() -> None:
    drawing = Drawing((Shape("star", "red", "large", "left"),), "white")
    whole, half = (judge(drawing.render(64, np.random.default_rng(0), stretch=f)).first for f in (1.0, 0.5))
    assert whole is not None
    assert half is not None
    assert whole.name == half.name == "star"
    assert half.radius / whole.radius == pytest.approx(0.5, rel=0.05)
    assert (half.x, half.y) == pytest.approx((whole.x, whole.y), abs=0.01)


def test_pools_hold_pairs_and_names_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawings = [random_drawing(rng, 0.8, ("circle", "star", "star")) for _ in range(400)]
    pairs = [drawing for drawing in drawings if len(drawing.shapes) == 2]
    assert 0.73 < len(pairs) / 400 < 0.87
    names = [shape.name for drawing in pairs for shape in drawing.shapes]
    assert set(names) == {"circle", "star"}
    assert 1.6 < names.count("star") / names.count("circle") < 2.5


def test_a_word_names_one_thing_that_is_shown() -> None:
    pair = (Shape("star", "red", "small", "left"), Shape("circle", "pink", "small", "right"))
    drawing, rng = Drawing(pair, "blue"), np.random.default_rng(0)
    words = {drawing.hint(rng).word() for _ in range(100)}
    wholes = {"a small red star", "a small pink circle"}
    assert words == {"star", "red", "circle", "pink", "blue background"} | wholes


def test_word_order_varies_so_that_every_part_comes_first_and_last() -> None:
    rng = np.random.default_rng(0)
    captions = [random_drawing(rng).caption(rng) for _ in range(200)]
    endings = {caption.split()[-1] for caption in captions}
    assert "background" in endings
    assert endings & {"circle", "square", "star"}
    assert endings & {"left", "right", "top", "bottom", "side"}
    styles = {style_caption("toon", "a castle", rng).split()[0].strip(",") for _ in range(50)}
    assert {"toon", "a", "flat"} <= styles


def test_every_word_of_the_captions_is_one_token() -> None:
    words = vocabulary({"x*": "solar panels"})
    tokenizer = build_tokenizer(words)
    for word in ("solar", "toon", "watercolor", "triangle", "purple", "left"):
        assert len(tokenizer.tokenize(word)) == 1
    ids = tokenize(tokenizer, ["toon, a photo of solar panels", "Zürich 42"])
    assert ids.shape == (2, 77)
    assert "zürich" in tokenizer.decode(ids[1], skip_special_tokens=True)


def test_subjects_are_found_by_file_name() -> None:
    subjects = {"fish*": "a fish"}
    assert subject_of("fish3.webp", subjects) == "a fish"
    assert subject_of("x.png", subjects) == "a scene"
