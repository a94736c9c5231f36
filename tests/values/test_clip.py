from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from flowsynth.values import Flow, Frames, Latents, Mask


def numbered(*lengths: int) -> Frames:
    """Frames that hold their own numbers, in parts of some lengths."""
    data = torch.arange(sum(lengths), dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 4)
    return Frames(tuple(data.split(lengths)), 24)


def numbers(clip: Frames) -> list[int]:
    return clip.tensor[:, 0, 0, 0].tolist()


def test_parts_are_one_clip() -> None:
    clip = numbered(3, 1, 4)
    assert (clip.num_frames, clip.frame_shape, clip.height, clip.width) == (8, (3, 2, 4), 2, 4)
    assert numbers(clip) == list(range(8))
    assert [int(clip.frame(i)[0, 0, 0]) for i in (0, 3, 7, -1, -8)] == [0, 3, 7, 7, 0]
    for outside in (8, -9):
        with pytest.raises(IndexError, match="8 frames"):
            clip.frame(outside)


@pytest.mark.parametrize("start", range(9))
@pytest.mark.parametrize("stop", range(11))
def test_a_slice_is_what_a_list_gives(start: int, stop: int) -> None:
    assert numbers(numbered(3, 1, 4).slice(start, stop)) == list(range(8))[start:stop]


def test_slices_chunks_and_joins_copy_nothing() -> None:
    clip = numbered(3, 5)
    storage = {part.untyped_storage().data_ptr() for part in clip.parts}
    joined = Frames.concat([clip.slice(0, 4), clip.slice(4, 8)])
    for part in (*joined.parts, *joined.chunks(2)):
        assert part.untyped_storage().data_ptr() in storage
    assert [len(chunk) for chunk in joined.chunks(2)] == [2, 1, 1, 2, 2]
    assert numbers(joined) == list(range(8))


def test_clips_that_differ_are_not_joined() -> None:
    clip = numbered(2)
    for other in (Frames(clip.data, 25), Frames(clip.data, 24, "canny")):
        with pytest.raises(ValueError, match="cannot join"):
            Frames.concat([clip, other])
    with pytest.raises(ValueError, match="different sizes"):
        Frames.concat([clip, Frames(torch.zeros(1, 3, 3, 4, dtype=torch.uint8), 24)])


@pytest.mark.parametrize(
    ("given", "rate"),
    [(12, Fraction(12)), ("30000/1001", Fraction(30000, 1001)), (29.97, Fraction(2997, 100)), (None, None)],
)
def test_rates_are_exact(given: object, rate: Fraction | None) -> None:
    assert Frames(torch.zeros(1, 1, 1, 1), given).fps == rate  # type: ignore[arg-type]


def test_shapes_and_dtypes_are_held_to() -> None:
    with pytest.raises(ValueError, match=r"Frames is T, C, H, W; given shape \(3, 4, 4\)"):
        Frames(torch.zeros(3, 4, 4))
    for cls, dtype in (
        (Frames, torch.float64),
        (Mask, torch.float16),
        (Flow, torch.uint8),
        (Latents, torch.int8),
    ):
        with pytest.raises(TypeError, match=f"{cls.__name__} holds .*; given {dtype}"):
            cls(torch.zeros(1, 1, 1, 1, dtype=dtype))
