"""Every kind of source through the operators on frames, by the command line in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from flowsynth.media.reader import VideoReader
from tests.nets.tiny import tiny_ifnet, tiny_srvgg
from tests.odd_sources import BROKEN, BROKEN_PICTURES, CLIPS, PICTURES, Array

Run = Callable[..., tuple[int, str, str]]
SOURCES = {**CLIPS, **PICTURES}
#: What others stand for too, or what takes long.
SLOW: tuple[str, ...] = (
    "plain.mkv",
    "black.mkv",
    "one_frame.mp4",
    "grey.mkv",
    "ten_bits.mkv",
    "sixteen_bits.mkv",
    "alpha.mov",
)
SLOW += ("odd_641x361.mkv", "tiny_33x7.mkv", "grey.png", "one_bit.png", "alpha.webp", "palette.gif")
GRAPH = """
nodes:
  clip: {{op: {reader}, params: {{path: {name}{rate}}}}}
  rife: {{op: interpolate, inputs: {{frames: clip}}, params: {{method: rife, weights: rife.pth}}}}
  large: {{op: upscale, inputs: {{frames: clip}}, params: {{method: network, weights: net.pth, tile: 48}}}}
  flow: {{op: optical_flow, inputs: {{frames: clip}}}}
  warped: {{op: warp, inputs: {{frames: clip, flow: flow.flow}}}}
  blended: {{op: temporal_smooth, inputs: {{frames: clip}}, params: {{method: fastblend, radius: 1}}}}
  along: {{op: temporal_smooth, inputs: {{frames: clip}}, params: {{method: flow, radius: 1}}}}
  steady: {{op: temporal_smooth, inputs: {{frames: clip}}, params: {{method: histogram, radius: 1}}}}
  figures: {{op: measure, inputs: {{frames: along, reference: clip}}}}
  file: {{op: encode_video, inputs: {{frames: clip}}}}
  all: {{op: encode_video, inputs: {{frames: clip}}, params: {{codec: ffv1}}}}
{videos}
"""
#: Operators whose frames are looked at, in lossless files.
SHOWN = ("rife", "large", "warped", "blended", "along", "steady")


@pytest.fixture
def networks(home: Path) -> Path:
    torch.save({f"module.{k}": v for k, v in tiny_ifnet().state_dict().items()}, home / "rife.pth")
    torch.save({"params": tiny_srvgg(2).state_dict()}, home / "net.pth")
    return home


def write_graph(home: Path, name: str, picture: bool) -> None:
    rows = [
        f"  {op}_video: {{op: encode_video, inputs: {{frames: {op}}}, params: {{codec: ffv1}}}}"
        for op in SHOWN
    ]
    reader, rate = ("read_image", ", fps: 12") if picture else ("read_video", "")
    text = GRAPH.format(reader=reader, name=name, rate=rate, videos="\n".join(rows))
    (home / "graphs" / "odd.yaml").write_text(text)


def frames_of(home: Path, node: str) -> Array:
    (path,) = (home / "out").glob(f"{node}.m*")
    return VideoReader(path).read()


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SOURCES]
)
def test_every_operator_takes_it(cli: Run, networks: Path, name: str) -> None:
    odd, home = SOURCES[name], networks
    odd.write(home / name)
    write_graph(home, name, name in PICTURES)
    nodes = ["file", "all", "figures", *(f"{op}_video" for op in SHOWN)]
    code, _, err = cli("run", "graph=odd", "output_dir=out", "-q", "--outputs", *nodes)
    assert (code, err) == (0, "")

    source = frames_of(home, "all")
    expected = np.stack(odd.shown)
    assert source.shape == expected.shape
    assert np.abs(source.astype(int) - expected).mean() <= odd.close
    made = {op: frames_of(home, f"{op}_video") for op in SHOWN}
    count, height, width = source.shape[:3]
    assert made.pop("large").shape == (count, 2 * height, 2 * width, 3)
    doubled = made.pop("rife")
    assert np.array_equal(doubled[::2], source)
    assert len(doubled) == 2 * count
    if name == "cut.mkv":
        assert np.array_equal(doubled[5], source[3])  # the nearer frame, no mix of two shots
    low, high = int(source.min()) - 12, int(source.max()) + 12  # a frame's own detail may overshoot
    for op, frames in [*made.items(), ("rife", doubled)]:
        assert frames.shape[1:] == source.shape[1:], op
        assert low <= frames.min() <= frames.max() <= high, op


def one_message(cli: Run, home: Path, name: str, phrase: str, picture: bool) -> None:
    write_graph(home, name, picture)
    code, _, err = cli("run", "graph=odd", "output_dir=out", "-q", "--outputs", "file")
    assert code == 2
    assert len(err.splitlines()) == 1, err
    assert name in err
    assert phrase in err
    assert not list(home.glob("out/*.mp4"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_video_is_one_message(cli: Run, home: Path, name: str) -> None:
    make, phrase = BROKEN[name]
    make(home / name)
    one_message(cli, home, name, phrase, picture=False)


@pytest.mark.parametrize("name", BROKEN_PICTURES)
def test_a_broken_picture_is_one_message(cli: Run, home: Path, name: str) -> None:
    make, phrase = BROKEN_PICTURES[name]
    make(home / name)
    one_message(cli, home, name, phrase, picture=True)
