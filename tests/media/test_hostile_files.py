"""Files that would read others, start programs, or never end: refused at once, by name."""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash
from flowsynth.media.errors import MediaError, NotMediaError
from flowsynth.media.pictures import FORMATS, open_picture, read_picture
from flowsynth.media.provenance import read_text
from flowsynth.media.reader import VideoReader
from tests.media.conftest import MakeClip

PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-VERSION:3\n#EXTINF:1.0,\nclip.mp4\n#EXT-X-ENDLIST\n",
    "m3u8 elsewhere": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile clip.mp4\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\nid: en, index: 0\n",
    "dash": "<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period><BaseURL>clip.mp4</BaseURL></Period></MPD>",
}


@pytest.mark.parametrize("suffix", [".txt", ".mp4", ".m3u8", ""])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_list_of_files_is_no_video(tmp_path: Path, make_clip: MakeClip, kind: str, suffix: str) -> None:
    make_clip("clip.mp4", count=2)
    path = tmp_path / f"list{suffix}"
    path.write_text(PLAYLISTS[kind])
    for opens in (lambda: VideoReader(path), lambda: read_text(path)):
        with pytest.raises(
            NotMediaError, match=r"expected a video file, found a list of other files \(name one"
        ):
            opens()


def test_a_name_that_is_a_pattern_is_that_file(tmp_path: Path) -> None:
    for name, level in (("a%03d.png", 10), ("a001.png", 200), ("a%d.jpg", 30), ("a1.jpg", 90)):
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(tmp_path / name)
    deep = np.full((16, 16, 3), 5000, np.uint16)
    from flowsynth.media.pictures import encode_picture

    (tmp_path / "b%03d.png").write_bytes(encode_picture(deep, "png"))
    (tmp_path / "b001.png").write_bytes(encode_picture(deep * 2, "png"))
    assert read_picture(tmp_path / "a%03d.png").max() == 10
    assert int(read_picture(tmp_path / "b%03d.png", deep=True).max()) == 5000
    with VideoReader(tmp_path / "a%d.jpg") as reader:
        assert abs(int(reader.read(0, 1).mean()) - 30) < 4


@pytest.fixture
def ghost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a program called `gs` makes when anybody starts it."""
    mark, program = tmp_path / "started", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return mark


@pytest.mark.parametrize("name", ["x.eps", "x.png", "x.ps", "x.tga"])
def test_eps_starts_no_program(tmp_path: Path, ghost: Path, name: str) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "x", format="EPS")
    path = (tmp_path / "x").rename(tmp_path / name)
    with pytest.raises(NotMediaError, match="data in no known picture format"):
        read_picture(path)
    from flowsynth.operators.picture.overlay import _picture

    with pytest.raises(InputError, match="expected a picture"):
        _picture(path)
    assert not ghost.exists()
    with contextlib.suppress(OSError), Image.open(path) as picture:
        picture.load()
    assert ghost.exists(), "Pillow by itself would have started it"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_that_is_read_is_read(tmp_path: Path, name: str) -> None:
    Image.init()
    if name not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {name}")
    levels = np.random.default_rng(0).integers(100, 140, (32, 32, 3), dtype=np.uint8)
    path = tmp_path / "picture.any"
    Image.fromarray(levels).save(path, format=name)
    assert np.abs(read_picture(path).astype(int) - levels).max() < 60
    with path.open("rb") as file, open_picture(file) as picture:
        assert picture.size == (32, 32)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # the name of a socket has 100 characters at most


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(os.name != "posix", reason="POSIX has them")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [_pipe, _socket, _device])
def test_what_never_ends_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "endless.mp4"
    make(path)
    for reads in (VideoReader, read_picture, read_text):
        with pytest.raises(NotMediaError, match="found a pipe, a socket or a device"):
            reads(path)
    with pytest.raises(InputError, match="no regular file"):
        file_hash(path)


@pytest.mark.parametrize("name", ["a\0b.mp4", "~nosuchuser/a.mp4", "x" * 300, "a/" * 3000 + "b"])
def test_paths_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for reads in (VideoReader, read_picture):
        with pytest.raises(MediaError):
            reads(name)
    with pytest.raises(InputError):
        file_hash(Path(name))
