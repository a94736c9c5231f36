from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from flowsynth.media import errors
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from tests.media.conftest import cut

MakeClip = Callable[..., Path]


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(25, 2)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi"])
def test_constant_rate_is_exact_in_every_container(make_clip: MakeClip, name: str, rate: Fraction) -> None:
    codec = "ffv1" if name == "a.avi" else "libx264"
    info = probe(make_clip(name, rate=rate, count=50, codec=codec))
    assert (info.frame_count, info.fps, info.rate.variable) == (50, rate, False)
    assert info.duration == 50 / rate
    assert (info.width, info.height, info.codec, info.bit_depth) == (
        64,
        48,
        codec.removeprefix("libx").replace("264", "h264"),
        8,
    )
    assert not info.has_audio


def test_timestamps_are_those_of_the_decoded_frames(make_clip: MakeClip) -> None:
    path = make_clip(count=60, options={"bf": "3", "g": "20"})
    info = probe(path)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert info.timestamps == tuple(frame.pts for frame in frames)
    assert info.key_frames == tuple(i for i, frame in enumerate(frames) if frame.key_frame)
    assert len(info.key_frames) >= 3


def test_variable_rate_is_seen_and_averaged(make_clip: MakeClip) -> None:
    ticks = [0, 40, 80, 203, 210, 601, 640]
    info = probe(make_clip("vfr.mkv", count=7, ticks=ticks, time_base=Fraction(1, 1000), options={"bf": "0"}))
    assert info.rate.variable
    assert info.timestamps == tuple(ticks)
    assert info.fps == Fraction(6, 1) / Fraction(640, 1000)
    assert info.time(3) == Fraction(203, 1000)


@pytest.mark.parametrize(
    ("degrees", "shown"), [(0, (64, 48)), (90, (48, 64)), (180, (64, 48)), (270, (48, 64))]
)
@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_rotation_turns_the_size(
    make_clip: MakeClip, name: str, degrees: int, shown: tuple[int, int]
) -> None:
    info = probe(make_clip(name, rotation=(degrees, False), count=3))
    assert (info.rotation, (info.width, info.height)) == (degrees, shown)
    assert (info.coded_width, info.coded_height) == (64, 48)


def test_pixels_that_are_not_square_widen_the_picture(make_clip: MakeClip) -> None:
    info = probe(make_clip(aspect=Fraction(4, 3), count=3))
    assert (info.width, info.height, info.coded_width) == (85, 48, 64)


def test_faults_have_a_name_and_one_message(make_clip: MakeClip, audio_only: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 20)
    blank = tmp_path / "blank.mp4"
    blank.touch()
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 40)
    faults = {
        tmp_path / "missing.mp4": (errors.MediaNotFoundError, "no such file"),
        tmp_path / "no" / "clip.mp4": (errors.MediaNotFoundError, "no folder"),
        tmp_path: (errors.NotMediaError, "a folder"),
        text: (errors.NotMediaError, "text"),
        blank: (errors.NotMediaError, "an empty file"),
        noise: (errors.NotMediaError, "no known media format"),
        audio_only: (errors.NoVideoStreamError, "only audio"),
    }
    for path, (kind, found) in faults.items():
        with pytest.raises(kind) as caught:
            probe(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: expected ")
        assert found in message
        assert "\n" not in message


def test_zero_frames(tmp_path: Path) -> None:
    path = tmp_path / "zero.mp4"
    with av.open(str(path), "w", options={"movflags": "+empty_moov"}) as output:
        stream = output.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.start_encoding()
    with pytest.raises(errors.EmptyVideoError, match="0 frames"):
        probe(path)


@pytest.mark.parametrize(
    ("name", "codec", "container", "known"),
    [
        ("a.mp4", "libx264", {}, False),
        ("a.mp4", "libx264", {"movflags": "faststart"}, True),
        ("a.mkv", "libx264", {}, True),
        ("a.avi", "ffv1", {}, True),
    ],
)
def test_truncated_file_says_where(
    make_clip: MakeClip, name: str, codec: str, container: dict[str, str], known: bool
) -> None:
    path = make_clip(name, codec=codec, count=120, container=container)
    with pytest.raises(errors.TruncatedMediaError) as caught:
        probe(cut(path, 0.6))
    assert (0 < caught.value.frame < 120) if known else caught.value.frame == -1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_slow_slide_show_is_whole(make_clip: MakeClip, count: int) -> None:
    # Matroska keeps no duration of the last frame: its track ends three seconds after it.
    info = probe(make_clip("slides.mkv", codec="ffv1", pixel_format="bgr0", count=count, rate=Fraction(1, 3)))
    assert (info.frame_count, info.fps, info.duration) == (count, Fraction(1, 3), Fraction(3 * count))


def test_frames_that_an_edit_list_cuts_off_are_no_frames(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(count=40, options={"g": "12", "bf": "2"}), tmp_path / "cut.mp4"
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts - 7 * 512, packet.dts - 7 * 512
                packet.stream = stream
                output.mux(packet)
    info = probe(target)
    with av.open(str(target)) as container:
        decoded = [frame.pts for frame in container.decode(video=0)]
    assert info.timestamps == tuple(decoded)
    assert info.frame_count == 33
    whole = VideoReader(source).read(7, 40)
    assert (VideoReader(target).read() == whole).all()
    assert (VideoReader(target).read(20, 22) == whole[20:22]).all()


def test_a_name_like_a_protocol_is_a_file(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(count=3).rename(tmp_path / "http:clip %d#?.mp4")
    assert probe(path).frame_count == 3
