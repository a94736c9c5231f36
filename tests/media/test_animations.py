"""Animations, and pictures that FFmpeg would not give whole."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from flowsynth.media.codecs import EncodeSettings
from flowsynth.media.errors import NotMediaError, TruncatedMediaError
from flowsynth.media.mux import mux
from flowsynth.media.pictures import read_picture
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from flowsynth.media.segments import encode_segment
from tests.media.conftest import picture
from tests.media.test_odd_files import read_anyhow


@pytest.mark.parametrize("durations", [[40] * 5, [83, 84, 83, 83, 84], [500, 100, 100, 300, 100]])
def test_animated_webp_has_its_frames_at_their_times(tmp_path: Path, durations: list[int]) -> None:
    pictures = [picture(3 * k, 64, 48) for k in range(5)]
    path = tmp_path / "a.webp"
    first, *rest = (Image.fromarray(image) for image in pictures)
    first.save(path, save_all=True, append_images=rest, duration=durations, lossless=True, exact=True)
    info = probe(path)
    starts = [sum(durations[:k]) for k in range(5)]
    assert info.timestamps == tuple(starts)
    rate = {40: 25, 83: 12, 500: 10}[durations[0]]
    frames = read_anyhow(path)
    assert VideoReader(path).fps == rate
    assert len(frames) == round(sum(durations) * rate / 1000)
    shown = [max(n for n in range(5) if starts[n] <= k * 1000 / rate + 1) for k in range(len(frames))]
    assert (frames == np.stack([pictures[n] for n in shown])).all()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TruncatedMediaError, match="a whole animation"):
        probe(path)


@pytest.mark.parametrize("lengths", [(9,), (2, 9), (9, 2), (3, 1, 4)])
@pytest.mark.parametrize("alpha", [False, True])
def test_equal_frames_keep_their_time(tmp_path: Path, lengths: tuple[int, ...], alpha: bool) -> None:
    levels = np.repeat([30 + 60 * k for k in range(len(lengths))], lengths)
    images = [np.full((20, 30, 3), level, np.uint8) for level in levels]
    settings = EncodeSettings(Fraction(25), "webp", crf=0, pixel_format="bgra" if alpha else "")
    encode_segment(iter(images), tmp_path / "a.nut", settings)
    assert mux([tmp_path / "a.nut"], tmp_path / "a.webp", settings) == sum(lengths)
    info = probe(tmp_path / "a.webp")
    assert info.duration == Fraction(sum(lengths), 25)
    if len(lengths) > 1:
        frames = read_anyhow(tmp_path / "a.webp")
        assert frames[:, 5, 5, 0].tolist() == levels.tolist()


def test_a_transparent_animation_lies_over_the_background(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (16, 16), (10, 20, 30, 0))
    solid = Image.new("RGBA", (16, 16), (10, 20, 30, 255))
    clear.save(tmp_path / "a.webp", save_all=True, append_images=[solid], duration=100, lossless=True)
    frames = read_anyhow(tmp_path / "a.webp", background=(0, 0, 255))
    assert frames[0, 3, 3].tolist() == [0, 0, 255]
    assert frames[1, 3, 3].tolist() == [10, 20, 30]


def half_clear() -> np.ndarray:
    """Red, clear on its left half."""
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., 0], rgba[:, 15:, 3] = 200, 255
    return rgba


def test_animated_avif_has_its_frames_at_their_times_and_its_transparency(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    first, *rest = (Image.fromarray(np.roll(half_clear(), 5 * k, axis=1)) for k in range(4))
    first.save(path, save_all=True, append_images=rest, duration=[100, 200, 100, 400], quality=100)
    frames = read_anyhow(path)
    assert VideoReader(path).fps == 10
    shown = [0, 1, 1, 2, 3, 3, 3, 3]
    columns = [(2 - 5 * k) % 30 for k in shown]
    expected = [[200, 0, 0] if column >= 15 else [255, 255, 255] for column in columns]
    assert np.abs(frames[:, 5, 2].astype(int) - expected).max() <= 2
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TruncatedMediaError):
        probe(path)
    with pytest.raises(TruncatedMediaError, match="AVIF"):
        read_picture(path)


@pytest.mark.parametrize("name", ["a.avif", "a.webp"])
@pytest.mark.parametrize("turn", [1, 6, 7])
def test_a_picture_read_as_a_video_is_the_picture(tmp_path: Path, name: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    more = [Image.fromarray(half_clear()[:, ::-1])] if name == "a.webp" else []
    options = {"quality": 100} if name == "a.avif" else {"lossless": True}
    Image.fromarray(half_clear()).save(
        tmp_path / name, save_all=True, append_images=more, exif=exif, **options
    )
    assert (VideoReader(tmp_path / name).read(0, 1)[0] == read_picture(tmp_path / name)).all()


def test_a_video_and_a_sound_are_no_pictures(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(NotMediaError, match=r"found a video \(read_video reads it\)"):
        read_picture(make_clip("a.webm", codec="libvpx", count=2))
    with av.open(str(tmp_path / "a.wav"), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
    with pytest.raises(NotMediaError, match=r"found sound \(read_audio reads it\)"):
        read_picture(tmp_path / "a.wav")


def test_heic_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    for read in (probe, read_picture):
        with pytest.raises(NotMediaError, match="an HEIC picture"):
            read(path)
