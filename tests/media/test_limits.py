"""At the machine's limits a file is not called damaged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowsynth.media.errors import SystemLimitError
from flowsynth.media.pictures import read_picture
from flowsynth.media.reader import VideoReader
from tests.media.conftest import MakeClip

resource = pytest.importorskip("resource")


@pytest.fixture
def no_descriptors() -> object:
    """A context in which this process may open no further file."""
    from contextlib import contextmanager

    @contextmanager
    def held():  # type: ignore[no-untyped-def]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return held


def test_open_files_run_out(tmp_path: Path, make_clip: MakeClip, no_descriptors) -> None:  # type: ignore[no-untyped-def]
    clip = make_clip("clip.mp4", count=2)
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    read_picture(picture)  # what is imported at first use is imported now
    with VideoReader(clip) as reader:
        reader.read()
    for reads, path in ((VideoReader, clip), (read_picture, picture)):
        with no_descriptors(), pytest.raises(SystemLimitError, match="Too many open files") as caught:
            reads(path)
        assert caught.value.exit_code == 1
        assert str(path) in str(caught.value)


CHILD = """
import resource, sys
from flowsynth.media.pictures import read_picture
from flowsynth.media.errors import SystemLimitError
read_picture(sys.argv[2])
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 64 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_picture(sys.argv[1])
except SystemLimitError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much is mapped")
def test_memory_runs_out(tmp_path: Path) -> None:
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.fromarray(np.zeros((8000, 8000, 3), np.uint8)).save(large, compress_level=1)
    Image.new("RGB", (8, 8)).save(small)
    command = [sys.executable, "-c", CHILD, str(large), str(small)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"{large}: cannot be read: no memory is left"
