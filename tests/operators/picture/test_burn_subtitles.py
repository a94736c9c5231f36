from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError, InputError, RequestError
from flowsynth.core.streams import Span
from flowsynth.operators.files.save_subtitles import SaveSubtitles
from flowsynth.operators.picture.burn_subtitles import BurnSubtitles
from flowsynth.values import Frames

CUES: list[Any] = [{"start": 0.25, "end": 0.75, "text": "one"}, {"start": 1.0, "end": 1.5, "text": "two"}]
CLIP = Frames(torch.full((8, 3, 90, 160), 60, dtype=torch.uint8), fps=4)


def changed(made: Frames) -> list[bool]:
    return [not torch.equal(a, b) for a, b in zip(made.tensor, CLIP.tensor, strict=True)]


def test_words_are_on_the_frames_during_which_they_are_said() -> None:
    made = BurnSubtitles().run(RunContext(), frames=CLIP, cues=CUES)
    assert changed(made) == [False, True, True, False, True, True, False, False]
    assert torch.equal(made.frame(1), made.frame(2))
    assert not torch.equal(made.frame(1), made.frame(4))
    rows = (made.frame(1) != CLIP.frame(1)).any(0).any(1).nonzero()
    assert 60 < int(rows.min()) <= int(rows.max()) < 90


def test_a_part_of_a_clip_knows_its_moment() -> None:
    whole = BurnSubtitles().run(RunContext(), frames=CLIP, cues=CUES)
    span = Span(3, 6, 8, {"frames": (3, 6)})
    part = BurnSubtitles().run(RunContext(span=span), frames=CLIP.slice(3, 6), cues=CUES)
    assert torch.equal(part.tensor, whole.slice(3, 6).tensor)


def test_a_subrip_file_is_read(tmp_path: Path) -> None:
    files = SaveSubtitles(formats=("srt", "ass", "vtt")).run(RunContext(), cues=CUES)
    assert set(files.files) == {"subtitles.srt", "subtitles.ass", "subtitles.vtt"}
    (tmp_path / "talk.srt").write_bytes(files.files["subtitles.srt"])
    read = BurnSubtitles(file=tmp_path / "talk.srt").run(RunContext(), frames=CLIP)
    assert torch.equal(read.tensor, BurnSubtitles().run(RunContext(), frames=CLIP, cues=CUES).tensor)
    with pytest.raises(InputError, match=r"other\.srt: no such file \(params\.file\)"):
        BurnSubtitles(file=tmp_path / "other.srt").run(RunContext(), frames=CLIP)


def test_cues_come_from_one_place() -> None:
    with pytest.raises(GraphError, match=r"b\.params\.file: cues come from one place"):
        fs.Graph.from_dict(
            {
                "nodes": {
                    "a": {"op": "read_video", "params": {"path": "x.mp4"}},
                    "b": {"op": "burn_subtitles", "inputs": {"frames": "a"}},
                }
            }
        )


def test_pictures_have_no_moments_and_letters_need_a_font() -> None:
    with pytest.raises(RequestError, match="expected a clip with a rate"):
        BurnSubtitles().run(RunContext(), frames=Frames(CLIP.tensor), cues=CUES)
    with pytest.raises(RequestError, match="built-in font, which has ASCII only, lacks"):
        BurnSubtitles().run(RunContext(), frames=CLIP, cues=[{"start": 0, "end": 2, "text": "日本"}])
