"""Values for the cache's tests, and real processes to kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowsynth.cache import StoredObject
from flowsynth.core.codec import Buffer, Encoded, content_hash

ROOT = Path(__file__).parents[2]


def buffer(array: npt.NDArray[Any], dtype: str) -> Buffer:
    return Buffer(dtype, array.shape, np.ascontiguousarray(array).data.cast("B"))


def sample(seed: int = 0, nbytes: int = 4000) -> StoredObject:
    rng = np.random.default_rng(seed)
    tensors = {
        "frames": buffer(rng.integers(0, 256, nbytes, dtype=np.uint8), "U8"),
        "times": buffer(rng.standard_normal((3, 5)).astype(np.float32), "F32"),
        "count": buffer(np.array(seed, dtype=np.int64), "I64"),
    }
    return StoredObject("Sample", 3, Encoded({"fps": "24/1", "seed": seed, "text": 'ü"\\'}, tensors))


def key_of(stored: StoredObject) -> str:
    return content_hash(stored.codec_name, stored.encoded)


def same(left: StoredObject, right: StoredObject) -> bool:
    return (left.codec_name, left.codec_version) == (right.codec_name, right.codec_version) and (
        content_hash("", left.encoded) == content_hash("", right.encoded)
    )


def python(code: str, *args: object) -> str:
    """The output of an interpreter in which nothing was imported before, and which must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
