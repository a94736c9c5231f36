"""Videos of very few frames or pixels: the rate is kept, and no encoder is handed what breaks it."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flowsynth.media.codecs import CODECS, Codec, EncodeSettings
from flowsynth.media.errors import EncodeSettingsError
from flowsynth.media.mux import mux
from flowsynth.media.probe import probe
from flowsynth.media.provenance import embed
from flowsynth.media.reader import VideoReader
from flowsynth.media.segments import encode_segment, write_packets
from tests.media.conftest import picture

STORED = [(codec, suffix) for codec, spec in CODECS.items() if spec.segmented for suffix in spec.suffixes]


def write(folder: Path, settings: EncodeSettings, count: int, size: tuple[int, int]) -> Path:
    segment, out = folder / "part.nut", folder / f"out{settings.suffix}"
    encode_segment([picture(k, *size) for k in range(count)], segment, settings)
    mux([segment], out, settings)
    return out


@pytest.mark.sample(12)
@pytest.mark.parametrize(("codec", "suffix"), STORED)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_frames_keep_their_exact_rate(tmp_path: Path, codec: Codec, suffix: str, count: int) -> None:
    for rate in (Fraction(12), Fraction(30000, 1001)):
        out = write(tmp_path, EncodeSettings(rate, codec, suffix=suffix), count, (64, 48))
        assert (probe(out).fps, probe(out).frame_count) == (rate, count)
        embed(out, "a note")
        assert (probe(out).fps, probe(out).frame_count) == (rate, count)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(1, 1), (40, 1), (1, 40), (3, 2), (34, 18)])
def test_tiny_pictures_are_encoded_or_refused_in_one_message(
    tmp_path: Path, codec: Codec, size: tuple[int, int]
) -> None:
    settings, smallest = EncodeSettings(Fraction(12), codec), CODECS[codec].smallest
    if min(size) + 1 < smallest:
        with pytest.raises(EncodeSettingsError, match=f"at least {smallest}x{smallest} pixels, found"):
            write(tmp_path, settings, 3, size)
        return
    out = write(tmp_path, settings, 3, size)
    shown = VideoReader(out).read()
    # 4:2:0 pads to even.
    assert all(0 <= made - side <= side % 2 for made, side in zip(shown.shape[2:0:-1], size, strict=True))
    if codec == "ffv1":
        assert np.array_equal(shown, np.stack([picture(k, *size) for k in range(3)]))


EDGES = [
    (codec, size) for codec, spec in CODECS.items() for size in ((spec.largest[0], 32), (32, spec.largest[1]))
]


@pytest.mark.parametrize(("codec", "size"), [(c, s) for c, s in EDGES if max(s) < 20_000])
def test_the_largest_pictures_are_encoded_and_larger_ones_refused(
    tmp_path: Path, codec: Codec, size: tuple[int, int]
) -> None:
    settings = EncodeSettings(Fraction(12), codec, preset="ultrafast")
    write(tmp_path, settings, 1, size)
    width, height = (side + 2 * (side > 32) for side in size)
    largest = "x".join(map(str, CODECS[codec].largest))
    with pytest.raises(EncodeSettingsError, match=f"at most {largest} pixels, found {width}x{height}"):
        write(tmp_path, settings, 1, (width, height))


def test_narrow_h265_does_not_end_the_process() -> None:
    """Where x265 writes past a buffer, malloc ends the process sooner or later: so, in a child."""
    script = """
from fractions import Fraction
from pathlib import Path
import tempfile
import numpy as np
from flowsynth.media.codecs import EncodeSettings
from flowsynth.media.segments import encode_segment

rng = np.random.default_rng(0)
with tempfile.TemporaryDirectory() as folder:
    for width in (16, 18, 24, 32, 36, 40, 44, 48, 50):
        for height in (16, 40, 64):
            pictures = rng.integers(0, 255, (3, height, width, 3), dtype=np.uint8)
            settings = EncodeSettings(Fraction(25), "h265", crf=1)
            encode_segment(iter(pictures), Path(folder) / "a.nut", settings)
print("whole")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


@pytest.mark.parametrize("decoded", [1, 7, -4639362925121765376, None])
def test_a_decoding_time_out_of_unset_memory_is_not_written(tmp_path: Path, decoded: int | None) -> None:
    with av.open(str(tmp_path / "x.nut"), "w", format="nut") as container:
        stream = container.add_stream("libx265", rate=12, options={"x265-params": "log-level=none"})
        stream.width, stream.height = 64, 48
        packets: list[Any] = [*stream.encode(av.VideoFrame(64, 48, "yuv420p")), *stream.encode(None)]
        packet = packets[0]
        packet.pts, packet.dts = 0, decoded
        assert write_packets(container, [packet], 0) == 1
        assert packet.dts <= 0
