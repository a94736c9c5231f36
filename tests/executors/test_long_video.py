"""A video longer than memory: flat memory, resumed after a kill, appended to at the cost of what is new."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executors.long import begin, finish, write_clip

#: (frames of the long clip, of the short one, frames appended, size); memory is compared between the two.
SHORT = pytest.param((96, 48, 20, (160, 90)), id="96 frames of 160x90")
LONG = pytest.param((600, 60, 48, (640, 360)), marks=[pytest.mark.slow, pytest.mark.timeout(3000)])


@pytest.fixture(params=[SHORT, LONG])
def case(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[int, int, int, tuple[int, int], Path]]:
    yield (*request.param, tmp_path)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("frames", "size"),
    [
        pytest.param(48, (32, 16), id="48 frames of 32x16"),
        pytest.param(96, (96, 54), marks=pytest.mark.slow, id="96 frames of 96x54"),
        pytest.param(1200, (96, 54), marks=[pytest.mark.slow, pytest.mark.timeout(3000)]),
    ],
)
def test_memory_of_fastblend_does_not_grow(frames: int, size: tuple[int, int], tmp_path: Path) -> None:
    found = {}
    for count in (frames // 10 if frames > 100 else frames // 3, frames):
        clip = write_clip(tmp_path / f"{count}.mkv", count, size)
        found[count] = finish(clip, tmp_path / f"cache{count}", "threads", "fastblend", 2500)
        shutil.rmtree(tmp_path / f"cache{count}")
        assert found[count]["frames"] == 2 * count
        assert found[count]["computed"]["smooth"] == chunks(count)
    short, long = found.values()
    assert long["rss"] <= 1.15 * short["rss"], (short["rss"], long["rss"])
    assert long["alive"] < 12


def chunks(frames: int) -> int:
    return math.ceil(frames / 16)


def tasks(frames: int) -> dict[str, int]:
    """How many tasks a clip of so many frames is: twice the frames are encoded, in segments of 128."""
    every = dict.fromkeys(["read", "annotate", "smooth", "upscale"], chunks(frames))
    return {**every, "interpolate": chunks(2 * frames), "video": math.ceil(2 * frames / 128) + 1}


@pytest.mark.slow
def test_memory_resume_and_append(case: Any) -> None:
    frames, short, more, size, folder = case
    clip = write_clip(folder / "clip.mkv", frames, size)

    # Memory does not grow with the video, and few chunks are alive at once.
    base = finish(write_clip(folder / "short.mkv", short, size), folder / "short", "threads")
    shutil.rmtree(folder / "short")
    calm = finish(clip, folder / "calm", "threads")
    assert calm["frames"] == 2 * frames
    assert calm["computed"] == tasks(frames)
    assert calm["rss"] <= 1.15 * base["rss"], (calm["rss"], base["rss"])
    assert calm["alive"] < 12

    # Appended frames: the reader decodes again, and of the rest only what they touch runs.
    longer = finish(write_clip(clip, frames + more, size), folder / "calm", "threads")
    total = chunks(frames + more)
    first = frames - 2  # smoothed over two frames on either side; interpolation looks back by one more half
    computed = {
        "read": total,
        "annotate": total - frames // 16,
        "smooth": total - first // 16,
        "upscale": total - first // 16,
        "interpolate": chunks(2 * (frames + more)) - (2 * first - 1) // 16,
        "video": math.ceil(2 * (frames + more) / 128) - (2 * first - 1) // 128 + 1,
    }
    assert longer["computed"] == computed
    shutil.rmtree(folder / "calm")

    # Killed at half, it goes on at the first chunk that is missing.
    write_clip(clip, frames, size)
    process = begin(clip, folder / "killed")
    wait_for(folder / "killed" / "objects", 2.5 * chunks(frames))
    process.kill()
    process.communicate()
    resumed = finish(clip, folder / "killed")
    for name, count in tasks(frames).items():
        assert resumed["computed"][name] + resumed["hit"][name] == count
    assert resumed["object"] == calm["object"]
    done = resumed["hit"]
    assert done["read"] > chunks(frames) // 4
    assert 0 <= done["read"] - done["annotate"] <= 3
    assert resumed["computed"]["read"] <= chunks(frames) - done["read"]


def wait_for(objects: Path, count: float, seconds: float = 1000) -> None:
    """Until so many objects have been written."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if objects.exists() and sum(1 for path in objects.rglob("*") if path.is_file()) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run did not get so far")
