"""Damaged files give named errors of one line, whatever is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowsynth.media.errors import MediaError
from flowsynth.media.pictures import read_picture
from flowsynth.media.provenance import embed, read_text
from flowsynth.media.reader import VideoReader
from tests.media.conftest import picture, write_picture

MakeClip = Callable[..., Path]
VIDEOS = {"a.mp4": "libx264", "a.mkv": "libx264", "a.webm": "libvpx", "a.avi": "ffv1", "a.gif": "gif"}


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrites bytes, mostly in the header, and cuts some copies off."""
    broken = bytearray(data)
    reach = min(len(broken), 2_000) if rng.integers(3) else len(broken)
    for _ in range(int(rng.integers(1, 20))):
        broken[int(rng.integers(reach))] = int(rng.integers(256))
    return bytes(broken[: int(rng.integers(1, len(broken)))] if rng.integers(3) == 0 else broken)


def tried(actions: list[Callable[[], object]]) -> int:
    messages = []
    for action in actions:
        try:
            action()
        except MediaError as error:
            messages.append(str(error))
    assert not [message for message in messages if "\n" in message]
    return len(messages)


@pytest.mark.parametrize("name", VIDEOS)
def test_videos(make_clip: MakeClip, name: str) -> None:
    pixel_format = {"a.gif": "rgb8", "a.avi": "bgr0"}.get(name, "yuv420p")
    path = make_clip(name, codec=VIDEOS[name], count=12, pixel_format=pixel_format)
    whole, rng, faults = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        path.write_bytes(damage(whole, rng))
        faults += tried(
            [lambda: VideoReader(path, width=32).read(), lambda: read_text(path), lambda: embed(path, "x")]
        )
    assert faults > 5


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_pictures(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_picture(path, picture(1, 64, 48), text="kept " * 200)
    whole, rng, faults = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(150):
        path.write_bytes(damage(whole, rng))
        faults += tried(
            [lambda: read_picture(path, deep=True), lambda: read_text(path), lambda: embed(path, "x")]
        )
    assert faults > 20
