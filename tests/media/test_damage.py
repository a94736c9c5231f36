"""Damaged files give named errors of one line, whatever is damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from flowsynth.media.errors import MediaError
from flowsynth.media.pictures import read_picture
from flowsynth.media.provenance import embed, read_text
from flowsynth.media.reader import VideoReader
from flowsynth.media.sound import SoundRange, probe_sound
from flowsynth.media.walk import Clock
from tests.media.conftest import picture, write_picture

MakeClip = Callable[..., Path]
VIDEOS = {
    "a.mp4": "libx264",
    "a.mkv": "libx264",
    "a.webm": "libvpx",
    "a.avi": "ffv1",
    "a.gif": "gif",
    "a.ts": "libx264",
    "a.mpg": "mpeg2video",
    "a.mov": "png",
    "a.flv": "flv1",
    "a.h264": "libx264",
    "a.ivf": "libvpx",
    "a.webp": "",
    "a.avif": "",
}
#: Four bytes that lie about a size, a count or a time.
LIES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\xff\xff\xff")


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrites bytes, mostly in the header; cuts some copies off, lies in others, or takes bytes out."""
    broken = bytearray(data)
    place = int(rng.integers(max(min(len(broken), 2_000) - 4, 1)))
    if rng.integers(4) == 0:
        broken[place : place + 4] = LIES[int(rng.integers(len(LIES)))]
    if rng.integers(4) == 0:
        del broken[place : place + int(rng.integers(1, 50))]
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


def whole_video(make_clip: MakeClip, tmp_path: Path, name: str) -> Path:
    if name in ("a.webp", "a.avif"):
        first, *rest = (Image.fromarray(picture(k, 64, 48)) for k in range(6))
        first.save(tmp_path / name, save_all=True, append_images=rest, duration=40)
        return tmp_path / name
    pixel_format = {"a.gif": "rgb8", "a.avi": "bgr0", "a.mov": "rgb24"}.get(name, "yuv420p")
    return make_clip(
        name, codec=VIDEOS[name].replace("flv1", "flv"), count=12, pixel_format=pixel_format, rate=25
    )


def beginning(reader: VideoReader) -> None:
    """Reads as a run does, by chunks: a damaged time may make a clip of days."""
    with reader:
        for start in range(0, min(len(reader), 64), 16):
            reader.read(start, min(len(reader), start + 16))


def read_video_anyhow(path: Path) -> list[Callable[[], object]]:
    return [
        lambda: beginning(VideoReader(path, width=32)),
        lambda: beginning(VideoReader(path, width=32, damage="repeat")),
        lambda: beginning(VideoReader(path, width=32, damage="skip")),
        lambda: probe_sound(SoundRange(path)),
        lambda: read_text(path),
        lambda: embed(path, "x"),
    ]


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", VIDEOS)
def test_videos(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    path = whole_video(make_clip, tmp_path, name)
    whole, rng, faults = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(40):
        path.write_bytes(damage(whole, rng))
        faults += tried(read_video_anyhow(path))
    assert faults > 5


#: Memory that reading any of these small files may take, whatever it claims, and seconds.
MOST_BYTES, MOST_SECONDS = 1 << 30, 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("name", VIDEOS)
def test_no_damage_takes_the_process_down_or_holds_it_up(
    make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    path = whole_video(make_clip, tmp_path, name)
    script = """
import re, sys, time
from pathlib import Path
import numpy as np
from tests.media.test_damage import damage, read_video_anyhow, tried

path = Path(sys.argv[1])
whole, rng, longest = path.read_bytes(), np.random.default_rng(7), 0.0
for _ in range(150):
    path.write_bytes(damage(whole, rng))
    for action in read_video_anyhow(path):
        begin = time.process_time()
        tried([action])
        longest = max(longest, time.process_time() - begin)
# The most that was ever resident; getrusage's figure starts with that of the parent.
most = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())
print(longest, int(most[1]) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    longest, most = map(float, done.stdout.split())
    assert longest < MOST_SECONDS
    assert most < MOST_BYTES


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


def test_times_beyond_64_bits_are_no_times(tmp_path: Path, make_clip: MakeClip) -> None:
    with av.open(str(make_clip("a.nut", count=3))) as container:
        clock = Clock(container, container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        for packet, time in zip(packets, (1 << 61, -(1 << 61), (1 << 63) - 1), strict=True):
            packet.dts = packet.pts = time
            clock.set(packet)
        assert clock.broken
        assert packets[2].dts is None
