"""`fit_clips` out of a folder: which file goes with what is said, and what of a clip is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.operators.timing._named import chosen, words_of
from flowsynth.operators.timing.fit_clips import FitClips
from flowsynth.values import Audio, Frames
from tests.operators.media_files import write_clip

SOUND = Audio(torch.zeros(4000, 1), 1000)


def cues(*texts: str) -> list[Any]:
    return [{"start": float(k), "end": k + 0.5, "text": text} for k, text in enumerate(texts)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "footage"
    (place / "sea").mkdir(parents=True)
    for name, grey in (("sea/Boat 2", 40), ("old_lighthouse", 90), ("IMG-dog", 150)):
        Image.new("RGB", (40, 30), (grey, grey, grey)).save(place / f"{name}.png")
    write_clip(place / "two-cats.mkv", 12)
    (place / "notes.txt").write_text("no picture")
    return place


def fit(folder: Path, **more: Any) -> FitClips:
    return FitClips(width=16, height=16, fps=8, folder=folder, **more)


def greys(made: Frames) -> list[int]:
    return [int(frame[0, 8, 8]) for frame in made.tensor[::8]]


def test_words_of_names() -> None:
    assert words_of("IMG_2034 BlueSea-02.old") == ["blue", "sea", "old"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("We took the boats out to sea.", 0),
        ("An old lighthouse", 1),
        ("Lighthouses!", 1),
        ("It was cold", None),
        ("seas", 0),
    ],
)
def test_the_name_that_shares_most_words_is_taken(text: str, place: int | None) -> None:
    files = [Path(name) for name in ("sea/Boat 2.png", "old_lighthouse.jpg", "IMG-dog.png")]
    assert chosen([text], files) == [place]


def test_equal_names_take_turns() -> None:
    files = [Path("cat 1.png"), Path("cat 2.png"), Path("dog.png")]
    assert chosen(["a cat", "the cat", "cats", "cat"], files) == [0, 1, 0, 1]


def test_a_word_that_few_names_have_counts_more() -> None:
    files = [Path("sea boat.png"), Path("sea gull.png"), Path("sea storm gull cry.png")]
    assert chosen(["the storm at sea"], files) == [2]


def test_each_sentence_is_shown_what_is_named_after_it(folder: Path) -> None:
    ctx = RunContext()
    said = cues("The boat.", "A dog barks.", "Nothing known.", "Two cats")
    made = fit(folder).run(ctx, cues=said, audio=SOUND)
    shown = greys(made)
    assert shown[:2] == [40, 150]
    assert "no file's name goes with 'Nothing known.'" in ctx.notes[0]
    clip = made.tensor[24:]
    assert not torch.equal(clip[0], clip[3]), "a clip plays"


def test_search_terms_stand_for_what_is_said_and_frames_for_what_is_not_found(folder: Path) -> None:
    other = Frames(torch.full((1, 3, 20, 20), 222, dtype=torch.uint8))
    operator = fit(folder, terms=("lighthouse", "unknown"))
    made = operator.run(RunContext(), cues=cues("x", "y", "dog"), frames=[other], audio=SOUND)
    assert greys(made)[:3] == [90, 222, 150]


@pytest.mark.parametrize("chunk", [5, 16])
def test_chunks_equal_the_whole_and_names_and_bytes_count(folder: Path, tmp_path: Path, chunk: int) -> None:
    class Said(fs.Operator):
        """A sound and cues."""

        op = "test_said"
        version = 1

        def run(self, ctx: RunContext, /) -> list[Any]:
            return cues("two cats", "boat")

    class Sound(fs.Operator):
        """A sound."""

        op = "test_sound_of_clips"
        version = 1

        def run(self, ctx: RunContext, /) -> Audio:
            return SOUND

    g = fs.Graph("g")
    g.add("fit", fit(folder), cues=g.add("said", Said()), audio=g.add("sound", Sound()))
    whole = fit(folder).run(RunContext(), cues=cues("two cats", "boat"), audio=SOUND)
    run = g.run(outputs=["fit"], cache_dir=tmp_path / "c", chunk=chunk)
    assert torch.equal(run["fit"].tensor, whole.tensor)
    moved = folder.rename(tmp_path / "moved")
    h = fs.Graph("g")
    h.add("fit", fit(moved), cues=h.add("said", Said()), audio=h.add("sound", Sound()))
    assert h.run(outputs=["fit"], cache_dir=tmp_path / "c", chunk=chunk).record.nodes["fit"].status == "hit"
    (moved / "sea" / "Boat 2.png").rename(moved / "sea" / "ship.png")
    again = h.run(outputs=["fit"], cache_dir=tmp_path / "c", chunk=chunk)
    assert again.record.nodes["fit"].status == "computed"


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such folder \(params.folder\)"):
        fit(tmp_path / "none").files(RunContext())
    with pytest.raises(InputError, match="expected pictures or clips"):
        fit(tmp_path).files(RunContext())
    faults = "; ".join(map(str, FitClips(terms=("a",)).check({"audio": None})))
    assert "inputs.frames: nothing to show" in faults
    assert "params.terms: only read with a folder" in faults
