from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowsynth.media.codecs import CODECS, EncodeSettings
from flowsynth.media.errors import MediaNotFoundError, NotMediaError
from flowsynth.media.mux import mux
from flowsynth.media.pictures import encode_picture, read_picture
from flowsynth.media.probe import probe
from flowsynth.media.provenance import embed, read_provenance, read_text
from flowsynth.media.reader import VideoReader
from flowsynth.media.segments import encode_segment
from tests.media.conftest import picture, write_picture

MakeClip = Callable[..., Path]
RECORD = {"flowsynth": "0.1", "graph": {"prompt": 'a "cat" & <dog> \\ \u00e9\u4e2d\U0001f600\n'}}


def text(size: int) -> str:
    rng = np.random.default_rng(0)
    return json.dumps({**RECORD, "noise": rng.bytes(size // 2).hex()}, ensure_ascii=False)


@pytest.mark.parametrize("size", [0, 70_000, 1_000_000])
@pytest.mark.parametrize("codec", list(CODECS))
def test_videos_carry_it(tmp_path: Path, codec: str, size: int) -> None:
    settings = EncodeSettings(Fraction(12), codec, preset="ultrafast")  # type: ignore[arg-type]
    out = tmp_path / f"out{settings.suffix}"
    encode_segment((picture(k, 64, 48) for k in range(4)), tmp_path / "a.nut", settings)
    mux([tmp_path / "a.nut"], out, settings, metadata=text(size))
    assert read_provenance(out) == json.loads(text(size))
    if codec != "webp":
        assert probe(out).frame_count == 4
    embed(out, "another")
    assert read_text(out) == "another"
    assert read_provenance(out) is None


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm", "a.avi"])
def test_embedding_later_leaves_the_frames_alone(make_clip: MakeClip, name: str) -> None:
    codec = {"a.webm": "libvpx-vp9", "a.avi": "ffv1"}.get(name, "libx264")
    path = make_clip(
        name, codec=codec, count=40, rate=Fraction(30000, 1001), options={"bf": "2"} if "264" in codec else {}
    )
    before, frames = probe(path), VideoReader(path).read()
    assert read_provenance(path) is None
    embed(path, text(0))
    assert read_provenance(path) == RECORD | {"noise": ""}
    assert (probe(path).timestamps, probe(path).fps) == (before.timestamps, before.fps)
    assert (VideoReader(path).read() == frames).all()
    embed(path, text(0))
    twice = path.read_bytes()
    embed(path, text(0))
    assert path.read_bytes() == twice


@pytest.mark.parametrize("size", [0, 70_000, 1_000_000])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_pictures_carry_it(tmp_path: Path, suffix: str, size: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, picture(2, 63, 47))
    plain = read_picture(path)
    assert read_provenance(path) is None
    for content in ("first", text(size)):
        embed(path, content)
        assert read_text(path) == content
    assert read_provenance(path) == json.loads(text(size))
    assert (read_picture(path) == plain).all()
    written = tmp_path / f"b{suffix}"
    write_picture(written, picture(2, 63, 47), text=text(size))
    assert written.read_bytes() == path.read_bytes()


def test_lossless_webp_with_alpha_keeps_it(tmp_path: Path) -> None:
    rgba = np.dstack([picture(1, 33, 21), np.full((21, 33), 90, np.uint8)])
    path = tmp_path / "a.webp"
    path.write_bytes(encode_picture(rgba, "webp", quality=100, text="kept"))
    with Image.open(path) as image:
        assert (np.asarray(image) == rgba).all()
    assert read_text(path) == "kept"


def test_other_peoples_comments_are_no_provenance(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(0, 32, 32)).save(path, comment=b"made by hand")
    assert read_text(path) == ""
    embed(path, "ours")
    with Image.open(path) as image:
        assert b"made by hand" in path.read_bytes()
        assert image.size == (32, 32)


def test_faults(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("hello")
    with pytest.raises(NotMediaError, match="text"):
        read_provenance(note)
    with pytest.raises(MediaNotFoundError):
        read_provenance(tmp_path / "none.mp4")
    path = tmp_path / "a.png"
    write_picture(path, picture(0, 64, 48), text=text(70_000))
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(NotMediaError, match="damaged"):
        read_provenance(path)
