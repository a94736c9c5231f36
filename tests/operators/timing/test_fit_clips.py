from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.cover import cover, looked_at
from flowsynth.operators.timing.fit_clips import FitClips
from flowsynth.values import Audio, Frames

CUES: list[Any] = [{"start": float(s), "end": s + 0.5, "text": "x"} for s in (0, 1, 2)]
SOUND = Audio(torch.zeros(3000, 1), 1000)
FIT = FitClips(width=16, height=32, fps=8)


def pictures(*grey: int) -> Frames:
    return Frames(torch.stack([torch.full((3, 40, 40), g, dtype=torch.uint8) for g in grey]))


def clip(count: int, first: int) -> Frames:
    return Frames(pictures(*range(first, first + count)).tensor, fps=8)


def grey(made: Frames) -> list[int]:
    return [int(frame[0, 5, 5]) for frame in made.tensor]


def test_another_picture_with_each_cue_and_the_first_again() -> None:
    made = FIT.run(RunContext(), frames=[pictures(10, 200)], cues=CUES, audio=SOUND)
    assert grey(made) == [10] * 8 + [200] * 8 + [10] * 8
    assert made.fps == 8
    assert (made.height, made.width) == (32, 16)


def test_a_clip_that_is_too_short_plays_back_again() -> None:
    made = FIT.run(RunContext(), frames=[clip(3, 50)], cues=CUES[:1], audio=SOUND)
    assert grey(made)[:9] == [50, 51, 52, 51, 50, 51, 52, 51, 50]
    both = FIT.run(RunContext(), frames=[clip(16, 50), pictures(9)], cues=CUES, audio=SOUND)
    assert grey(both) == [*range(50, 58), *[9] * 8, *range(50, 58)], "a cue begins its clip from the start"


def test_what_is_no_frame_of_the_sound_is_not_shown() -> None:
    for samples, frames in ((1, 1), (125, 1), (126, 2), (3000, 24)):
        sound = Audio(torch.zeros(samples, 1), 1000)
        assert FIT.run(RunContext(), frames=[pictures(1)], cues=CUES[:1], audio=sound).num_frames == frames


@pytest.mark.parametrize("chunk", [5, 16])
def test_chunks_of_a_graph_are_parts_of_the_whole(chunk: int, tmp_path: Path) -> None:
    g = fs.Graph("g")

    class Shown(fs.Operator):
        """Pictures that differ from place to place."""

        op = "test_shown"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> Frames:
            return Frames(torch.arange(2 * 3 * 40 * 40).view(2, 3, 40, 40).remainder(251).to(torch.uint8))

    class Cues(fs.Operator):
        """When something is said."""

        op = "test_cues"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> list[Any]:
            return CUES

    class Silence(fs.Operator):
        """A sound."""

        op = "test_silent"
        version = 1

        def run(self, ctx: fs.RunContext, /) -> Audio:
            return SOUND

    shown, cues, sound = g.add("shown", Shown()), g.add("cues", Cues()), g.add("sound", Silence())
    g.add("fit", FIT, frames=[shown], cues=cues, audio=sound)
    made: Frames = g.run(outputs=["fit"], cache_dir=tmp_path, chunk=chunk)["fit"]
    whole = FIT.run(RunContext(), frames=[Shown().run(RunContext())], cues=CUES, audio=SOUND)
    assert torch.equal(made.tensor, whole.tensor)


def test_a_sound_is_needed_and_something_to_show() -> None:
    (fault,) = FIT.check({"frames": [None], "cues": None})
    assert str(fault).startswith("inputs.audio: missing: it says how long")
    none, one = pictures(1).slice(0, 0), pictures(1)
    cases: list[tuple[Frames, list[Any], str]] = [
        (none, CUES, "frames: expected pictures"),
        (one, [], "cues"),
    ]
    for frames, cues, wrong in cases:
        with pytest.raises(RequestError, match=wrong):
            FIT.run(RunContext(), frames=[frames], cues=cues, audio=SOUND)


def test_a_picture_covers_the_frame_and_keeps_its_aspect() -> None:
    wide = torch.zeros(1, 3, 20, 60)
    wide[..., 20:40] = 1  # a white square in the middle
    made = cover(wide, (40, 40))
    assert made.shape == (1, 3, 40, 40)
    assert float(made[..., 4:-4, 4:-4].min()) > 0.9
    torch.testing.assert_close(looked_at(made, (40, 40), 1.0), made)
    near = looked_at(made, (40, 40), 2.0)
    torch.testing.assert_close(near[..., 20, 20], made[..., 20, 20], atol=0.02, rtol=0)
