"""More chunks than a process may have open files: streams are read whole all the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.processes import python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits")

PROGRAM = """
import resource, sys
import torch
from pathlib import Path
from flowsynth.api import Graph
from tests.executors.dags import Against, Level
from tests.streams import Counter, Invert, Sum, write_source

chunks, limit, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
g = Graph("many")
clip = g.add("clip", Counter(path=write_source(folder / "s.txt", [i % 7 for i in range(chunks)])))
mapped = g.add("mapped", Invert(), frames=clip)
g.add("level", Level(), frames=mapped)
g.add("sum", Sum(), frames=mapped)
g.outputs = ["level.level", "sum"]
run = g.run(cache_dir=folder / "cache", chunk=1)
again = g.run(cache_dir=folder / "cache", chunk=1, outputs=["level.frames"])
print(run["level.level"], run["sum"] % 97, again["level.frames"].num_frames, run.peak_alive <= 12)
"""


@pytest.mark.parametrize(
    ("chunks", "limit"),
    [(500, 80), pytest.param(50_000, 1024, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
)
def test_a_stream_of_many_chunks_is_read_whole(tmp_path: Path, chunks: int, limit: int) -> None:
    level, total, frames, flat = python(PROGRAM, chunks, limit, tmp_path).split()
    assert level == total
    assert int(frames) == chunks
    assert flat == "True"


MAPS = """
import gc, os, resource, sys
from pathlib import Path
from flowsynth.cache.platform import map_private

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
path = Path(sys.argv[1])
path.write_bytes(bytes(range(256)) * 64)
def view():
    fd = os.open(path, os.O_RDONLY)
    try:
        return map_private(fd, 16384)
    finally:
        os.close(fd)
def maps():
    return Path("/proc/self/maps").read_text().count(path.name)
held = [view() for _ in range(300)]
held[0][5] = 99
part = held[1][100:200]
print(maps(), bytes(held[1][:6]) == bytes(range(6)), path.read_bytes()[5], held[0][5])
del held
gc.collect()
print(maps(), bytes(part[:3]) == bytes([100, 101, 102]))
del part
print(maps())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_maps_take_no_descriptor_are_private_and_go_with_their_last_view(tmp_path: Path) -> None:
    lines = python(MAPS, tmp_path / "mapped.bin").splitlines()
    assert lines == ["300 True 5 99", "1 True", "0"]
