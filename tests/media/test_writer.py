from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from flowsynth.media.codecs import CODECS, SEGMENT, Codec, EncodeSettings, require_pixel_format
from flowsynth.media.errors import EncodeSettingsError, MediaWriteError
from flowsynth.media.mux import AudioFrom, mux
from flowsynth.media.probe import probe
from flowsynth.media.provenance import read_text
from flowsynth.media.reader import VideoReader
from flowsynth.media.segments import encode_segment, write_packets
from tests import processes
from tests.media.conftest import picture

MakeClip = Callable[..., Path]
FILM = Fraction(24000, 1001)


def frames(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    return [picture(k, *size) for k in range(count)]


def write(
    folder: Path, settings: EncodeSettings, images: list[np.ndarray], length: int = 120, **options: object
) -> Path:
    segments = []
    for begin, end in segment_bounds(len(images), length):
        segments.append(folder / f"{settings.codec}{begin}.nut")
        encode_segment(iter(images[begin:end]), segments[-1], settings)
    out = folder / f"out{settings.suffix}"
    assert mux(segments, out, settings, **options) == len(images)  # type: ignore[arg-type]
    return out


def segment_bounds(count: int, length: int = SEGMENT) -> list[tuple[int, int]]:
    """``count`` frames as runs of ``length``; a shorter rest joins the last run."""
    starts = range(0, max(count - length, 0) + 1, length)
    return [(start, start + length if start + length in starts else count) for start in starts]


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "webp"])
def test_segments_join_without_a_seam(tmp_path: Path, codec: str) -> None:
    images = frames(50)
    settings = EncodeSettings(FILM if codec != "gif" else Fraction(12), codec, preset="veryfast")  # type: ignore[arg-type]
    out = write(tmp_path, settings, images, length=20)
    info = probe(out)
    assert (info.frame_count, info.fps, info.rate.variable) == (50, settings.fps, False)
    assert info.codec == {"h265": "hevc"}.get(codec, codec)
    assert {0, 20} <= set(info.key_frames) or codec == "gif"
    read = VideoReader(out).read().astype(int)
    error = np.abs(read - np.stack(images)).mean(axis=(1, 2, 3))
    assert error.max() < (16 if codec != "ffv1" else 1e-9)
    with av.open(str(out)) as container:
        ticks = [packet.dts for packet in container.demux(video=0) if packet.size]
        assert ticks == sorted(set(ticks))


def test_animated_webp(tmp_path: Path) -> None:
    out = write(tmp_path, EncodeSettings(Fraction(12), "webp"), frames(9), metadata="kept")
    with Image.open(out) as animation:
        shown = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(animation)]
        assert animation.info["loop"] == 0
    assert len(shown) == 9
    assert np.abs(shown[5] - frames(9)[5]).mean() < 12
    assert read_text(out) == "kept"


@pytest.mark.sample(3)
@pytest.mark.parametrize("codec", list(CODECS))
def test_equal_frames_give_equal_bytes(tmp_path: Path, codec: str) -> None:
    settings = EncodeSettings(Fraction(25), codec, preset="fast")  # type: ignore[arg-type]
    digests = set()
    for name in ("a", "b", "c"):
        # Leaves other bytes in freed memory: an encoder that reads what it never wrote shows.
        rubbish = [np.random.default_rng(k).bytes(2_000 * k) for k in range(1, 60)]
        del rubbish
        folder = tmp_path / name
        folder.mkdir()
        out = write(folder, settings, frames(40, (144, 80)), length=16, metadata='{"flowsynth": "0"}')
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_equal_bytes_in_another_process_with_other_threads(tmp_path: Path) -> None:
    script = """
import sys
from fractions import Fraction
from pathlib import Path
from flowsynth.media.codecs import EncodeSettings
from tests.media.test_writer import frames, write

folder = Path(sys.argv[1])
folder.mkdir()
for codec in ("h264", "h265", "av1"):
    write(folder, EncodeSettings(Fraction(25), codec), frames(30))
"""
    results = []
    for name in ("one", "two"):
        command = [sys.executable, "-c", script, str(tmp_path / name)]
        if name == "one" and sys.platform == "linux":
            command = ["taskset", "-c", "0", *command]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True)
        results.append([p.read_bytes() for p in sorted((tmp_path / name).iterdir())])
    assert results[0] == results[1]


def test_an_interrupted_job_gives_the_same_bytes(tmp_path: Path) -> None:
    settings, images = EncodeSettings(Fraction(24), preset="fast"), frames(48)
    whole = write(tmp_path, settings, images, length=16).read_bytes()
    lost = tmp_path / "h26416.nut"
    kept = lost.read_bytes()
    lost.unlink()

    def stopped() -> Iterator[np.ndarray]:
        yield from images[16:20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_segment(stopped(), lost, settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h2640.nut", "h26432.nut", "out.mp4"]
    encode_segment(iter(images[16:32]), lost, settings)
    assert lost.read_bytes() == kept
    mux([tmp_path / f"h264{begin}.nut" for begin in (0, 16, 32)], tmp_path / "out.mp4", settings)
    assert (tmp_path / "out.mp4").read_bytes() == whole


def test_no_trace_of_when_or_by_what_it_was_written(tmp_path: Path) -> None:
    data = write(tmp_path, EncodeSettings(Fraction(24)), frames(5)).read_bytes()
    assert b"Lavf" not in data
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert "creation_time" not in container.metadata
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sizes_are_padded_only_where_the_format_needs_it(tmp_path: Path) -> None:
    images = frames(4, (151, 101))
    padded = VideoReader(write(tmp_path, EncodeSettings(Fraction(24), crf=4), images)).read()
    assert padded.shape == (4, 102, 152, 3)
    assert np.abs(padded[:, :101, :151].astype(int) - np.stack(images)).mean() < 6
    assert np.abs(padded[:, :, 151].astype(int) - padded[:, :, 150]).mean() < 6
    for settings in (
        EncodeSettings(Fraction(24), pixel_format="yuv444p"),
        EncodeSettings(Fraction(24), "ffv1"),
    ):
        assert VideoReader(write(tmp_path, settings, images)).read().shape == (4, 101, 151, 3)


@pytest.mark.parametrize("off", [-(2**54), -93869436995272, 2**53, None])
def test_decoding_times_out_of_unset_memory_move_no_frame(tmp_path: Path, off: int | None) -> None:
    # What x265 4.2 gives now and then for a clip shorter than its delay; NUT moves all times by the first.
    path = encode_clip(tmp_path / "whole.nut", 2)
    with av.open(str(path)) as source, av.open(str(tmp_path / "a.nut"), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for k, packet in enumerate(packets):
            packet.pts, packet.dts, packet.time_base = k, None if off is None else off + k, Fraction(1, 25)
            packet.stream = stream
        assert write_packets(output, packets, 0) == 2
    with av.open(str(tmp_path / "a.nut")) as container:
        times = [(p.pts or 0) * (p.time_base or 0) for p in container.demux(video=0) if p.size]
    assert 0 <= times[0] < 3
    assert times[1] - times[0] == Fraction(1, 25)


def encode_clip(path: Path, count: int) -> Path:
    encode_segment(iter(frames(count)), path, EncodeSettings(Fraction(25), "h265", preset="ultrafast"))
    return path


def test_sixteen_bits_survive_ffv1(tmp_path: Path) -> None:
    deep = [picture(k, 64, 48, np.uint16) for k in range(3)]
    out = write(tmp_path, EncodeSettings(Fraction(24), "ffv1", pixel_format="gbrp16le"), deep)
    assert (VideoReader(out, deep=True).read() == np.stack(deep)).all()


def test_colours_are_told_to_players(tmp_path: Path) -> None:
    flat = [np.full((48, 64, 3), (220, 30, 60), np.uint8)] * 3
    out = write(tmp_path, EncodeSettings(Fraction(24), crf=8), flat)
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_primaries) == (1, 1, 1)
    assert np.abs(VideoReader(out).read().astype(int) - (220, 30, 60)).max() <= 3


@pytest.mark.parametrize("codec", ["gif", "webp"])
def test_animations_keep_colours_and_odd_sizes(tmp_path: Path, codec: str) -> None:
    flat = [np.full((47, 63, 3), (220, 30, 60), np.uint8)] * 3
    out = write(tmp_path, EncodeSettings(Fraction(12), codec), flat)  # type: ignore[arg-type]
    with Image.open(out) as animation:
        assert animation.size == (63, 47)
        assert np.abs(np.asarray(animation.convert("RGB")).astype(int) - (220, 30, 60)).max() <= 3


def speech(path: Path, seconds: float = 4) -> Path:
    """A clip whose tone rises every second, with a picture starting late."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream("aac", rate=16_000)
        audio.layout = "mono"
        for k in range(int(seconds * 24)):
            shown = av.VideoFrame.from_ndarray(picture(k, 64, 48), "rgb24")
            shown.pts, shown.time_base = k, Fraction(1, 24)
            output.mux(video.encode(shown))
        t = np.arange(int(seconds * 16_000)) / 16_000
        wave = (np.sin(2 * np.pi * (200 + 200 * np.floor(t)) * t) * 12_000).astype(np.int16)
        for begin in range(0, len(wave), 1024):
            sound = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 16_000, begin, Fraction(1, 16_000)
            output.mux(audio.encode(sound))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def test_sound_is_carried_over_for_the_range(tmp_path: Path) -> None:
    source = speech(tmp_path / "speech.mp4")
    images = list(VideoReader(source, start=1, end=3).read())
    out = write(tmp_path, EncodeSettings(Fraction(24)), images, audio=AudioFrom(str(source), Fraction(1)))
    assert probe(out).has_audio
    with av.open(str(out)) as container:
        pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        start = container.streams.audio[0].start_time
    wave = np.concatenate(pieces)
    assert 0 <= start < 1100
    assert abs(len(wave) / 16_000 - 2) < 0.1
    for second, expected in ((0.5, 400), (1.5, 600)):
        part = wave[int(second * 16_000) : int(second * 16_000) + 4096]
        heard = np.argmax(np.abs(np.fft.rfft(part * np.hanning(4096)))) * 16_000 / 4096
        assert abs(heard - expected) < 8


def test_sound_that_does_not_fit_is_one_message(tmp_path: Path, audio_only: Path) -> None:
    with pytest.raises(EncodeSettingsError, match="which has none"):
        write(tmp_path, EncodeSettings(Fraction(12), "gif"), frames(3), audio=AudioFrom(str(audio_only)))
    with pytest.raises(EncodeSettingsError, match="sound"):
        write(tmp_path, EncodeSettings(Fraction(12), "vp9"), frames(3), audio=AudioFrom(str(audio_only)))
    assert not list(tmp_path.glob("out*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("codec", "name"),
    [("h265", "yuva420p"), ("ffv1", "yuva444p10le"), ("ffv1", "grayf16le"), ("vp9", "gbrap")],
)
def test_alpha_and_floats_are_no_formats_to_write(codec: Codec, name: str) -> None:
    with pytest.raises(EncodeSettingsError, match=rf"one that .* takes: .*found '{name}'"):
        require_pixel_format(EncodeSettings(Fraction(25), codec, pixel_format=name))
    require_pixel_format(EncodeSettings(Fraction(25), "webp"))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"codec": "h266"}, "h264"),
        ({"crf": 99}, "0 to 51"),
        ({"codec": "ffv1", "suffix": ".mkv", "pixel_format": "", "crf": 3}, "none"),
        ({"preset": "fastest"}, "ultrafast"),
        ({"suffix": ".webm"}, r"\.mp4"),
        ({"fps": Fraction(0)}, "from 1/10000"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], found: str) -> None:
    with pytest.raises(EncodeSettingsError, match=found):
        replace(EncodeSettings(Fraction(24)), **settings)  # type: ignore[arg-type]


def test_bad_frames_and_segments(tmp_path: Path) -> None:
    settings = EncodeSettings(Fraction(24))
    with pytest.raises(EncodeSettingsError, match="at least one frame"):
        encode_segment(iter([]), tmp_path / "a.nut", settings)
    with pytest.raises(EncodeSettingsError, match="32x32 at frame 1"):
        encode_segment(iter([picture(0, 64, 48), picture(0, 32, 32)]), tmp_path / "a.nut", settings)
    with pytest.raises(EncodeSettingsError, match="nonsense"):
        encode_segment(iter(frames(1)), tmp_path / "a.nut", replace(settings, pixel_format="nonsense"))
    encode_segment(iter(frames(3)), tmp_path / "a.nut", settings)
    encode_segment(iter(frames(3, (96, 64))), tmp_path / "b.nut", settings)
    with pytest.raises(EncodeSettingsError, match="settings of the first segment"):
        mux([tmp_path / "a.nut", tmp_path / "b.nut"], tmp_path / "out.mp4", settings)
    with pytest.raises(MediaWriteError, match="no folder"):
        mux([tmp_path / "a.nut"], tmp_path / "no" / "out.mp4", settings)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nut", "b.nut"]


@pytest.mark.sample(3)
@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE")
@pytest.mark.parametrize("codec", ["h264", "vp9", "ffv1", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_full_disk_is_one_message_and_no_file(tmp_path: Path, codec: str, share: float) -> None:
    noise = [np.random.default_rng(k).integers(0, 255, (96, 128, 3)).astype(np.uint8) for k in range(8)]
    settings = EncodeSettings(Fraction(12), codec, preset="ultrafast")  # type: ignore[arg-type]
    segment, out = tmp_path / "a.nut", tmp_path / "old" / f"out{settings.suffix}"
    encode_segment(iter(noise), segment, settings)
    out.parent.mkdir()
    mux([segment], out, settings)
    whole = out.read_bytes()
    script = """
import resource, sys
from fractions import Fraction
from flowsynth.media.codecs import EncodeSettings
from flowsynth.media.errors import MediaWriteError
from flowsynth.media.mux import mux

segment, out, codec, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    mux([segment], out, EncodeSettings(Fraction(12), codec, preset="ultrafast"))
except MediaWriteError as error:
    print(error)
    sys.exit(3)
"""
    done = processes.run("-c", script, str(segment), str(out), codec, str(int(len(whole) * share)))
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(f"{out}: expected room for the file, found a file size limit")
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    assert out.read_bytes() == whole
