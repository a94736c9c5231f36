"""What every type of value keeps to: it comes back from its bytes, and its identity is its content."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth.values
from flowsynth.cache.store import Cache
from flowsynth.core.codec import is_temporal, value_types
from flowsynth.values import Audio, Conditioning, FileSet, Flow, Frames, Latents, Mask, Tensors, Video
from flowsynth.values.audio import BLOCK
from tests.executors.lives import identity
from tests.processes import python


def ramp(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    count = int(torch.tensor(shape).prod())
    return (torch.arange(count) % 251).reshape(shape).to(dtype)


def clips(length: int) -> dict[str, Any]:
    return {
        "frames": Frames(ramp(length, 3, 4, 5, dtype=torch.uint8), Fraction(24000, 1001)),
        "frames-half": Frames(ramp(length, 1, 4, 5, dtype=torch.float16) / 251, 12, "canny"),
        "frames-float": Frames(ramp(length, 4, 1, 1) / 251),
        "mask": Mask(ramp(length, 1, 3, 3, dtype=torch.uint8), Fraction(8)),
        "flow": Flow(ramp(length, 2, 3, 3)),
        "latents": Latents(ramp(length, 4, 2, 3, dtype=torch.bfloat16), 8, "sd", 16, 24),
    }


def values() -> dict[str, Any]:
    """Examples of every type, with odd dtypes, nothing in them, and everything at once."""
    found: dict[str, Any] = {}
    for length in (0, 1, 7):
        found |= {f"{name}-{length}": clip for name, clip in clips(length).items()}
    odd = {
        str(dtype): ramp(3, 2, dtype=dtype) for dtype in (torch.bool, torch.int8, torch.int64, torch.float64)
    }
    return found | {
        "tensors": Tensors(
            {**odd, "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4)}, {"ü": [1, None]}
        ),
        "tensors-none": Tensors({}),
        "conditioning": Conditioning("sd", {"prompt_embeds": ramp(1, 77, 8)}, {"frames": [0, 8]}),
        "video": Video(b"\x00\x01video", ".mkv", {"fps": "24/1"}),
        "video-empty": Video(b""),
        "file_set": FileSet({"a.png": b"a", "folder/b.png": b"bb"}),
        "audio": Audio(ramp(9, 2) / 251, 48_000),
        "audio-empty": Audio(ramp(0, 8), 1),
        "audio-blocks": Audio(ramp(2 * BLOCK, 1) / 251, 44_100),
        "audio-parts": Audio((ramp(BLOCK, 2) / 251, ramp(BLOCK + 1, 2) / 251), 44_100),
    }


VALUES = values()


def test_every_type_has_an_example() -> None:
    assert {value.codec_name for value in VALUES.values()} >= {
        name for name, cls in value_types().items() if cls.__module__.startswith(flowsynth.values.__name__)
    }


@pytest.mark.parametrize("name", VALUES)
def test_it_comes_back_from_its_bytes(name: str, tmp_path: Path) -> None:
    value = VALUES[name]
    back = type(value).decode(value.encode())
    assert identity(back) == identity(value)
    with Cache(tmp_path) as cache:
        cache.put_object(identity(value), value)
    with Cache(tmp_path) as cache:
        stored = cache.get_object(identity(value))
        assert stored is not None
        assert (stored.codec_name, stored.codec_version) == (
            type(value).codec_name,
            type(value).codec_version,
        )
        assert identity(type(value).decode(stored.encoded)) == identity(value)


def test_examples_differ_in_identity() -> None:
    assert len({identity(value) for value in VALUES.values()}) == len(VALUES)


def test_identities_are_the_same_in_another_process() -> None:
    code = """
from tests.contracts.test_values import VALUES, identity
for name, value in VALUES.items():
    print(name, identity(value))
"""
    assert python(code).splitlines() == [f"{name} {identity(value)}" for name, value in VALUES.items()]


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if is_temporal(type(value))])
def test_cutting_and_joining_is_no_change(name: str) -> None:
    value = VALUES[name]
    count = value.num_frames
    for cut in range(count + 1):
        parts = [value.slice(0, cut), value.slice(cut, count)]
        joined = type(value).concat(parts)
        assert joined.num_frames == count
        assert identity(joined) == identity(value)
        assert identity(joined.slice(0, count)) == identity(value)
    empty = value.slice(count, count)
    assert empty.num_frames == 0
    assert empty.frame_shape == value.frame_shape
    assert identity(type(value).decode(empty.encode())) == identity(empty)
