"""The figures of benchmarks/pocket.py are right on pictures whose figures are known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.pocket_figures import motion, report
from benchmarks.pocket_figures.drawn import captions, drawings, shares
from benchmarks.pocket_figures.shapes import both_present
from flowsynth.training.judge import judge
from flowsynth.training.judge_clips import judge_clip
from flowsynth.training.shapes import Drawing


def rendered(drawn: list[Drawing]) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [drawing.render(64, rng) for drawing in drawn]


def test_right_pictures_get_full_shares_and_shuffled_ones_do_not() -> None:
    drawn = drawings(30, 0)
    made = rendered(drawn)
    assert set(shares(drawn, made).values()) == {1.0}
    assert shares(drawn, made[1:] + made[:1])["background"] < 0.4
    nothing = [np.full_like(picture, picture[0, 0]) for picture in made]
    assert shares(drawn, nothing)["shape"] == 0


def test_both_shapes_of_a_prompt_must_be_there() -> None:
    drawn = drawings(10, 1, shapes=2)
    seen = [judge(picture) for picture in rendered(drawn)]
    assert all(both_present(*pair) for pair in zip(drawn, seen, strict=True))
    assert not any(both_present(*pair) for pair in zip(drawn, seen[1:] + seen[:1], strict=True))


def test_prompts_are_reproducible() -> None:
    assert captions(drawings(5, 3)) == captions(drawings(5, 3))


def test_the_identity_of_a_clip_counts_frames() -> None:
    drawn = drawings(1, 4)
    frame, other = rendered(drawn)[0], rendered(drawings(1, 5))[0]
    seen = judge_clip(np.stack([frame, frame, other, frame]))
    assert motion.identity(drawn, [seen]) == 0.75


def test_a_jump_where_windows_start_shows() -> None:
    clip = np.zeros((32, 8, 8, 3), np.uint8)
    clip[:, ::2] += (np.arange(32) % 2 * 20).astype(np.uint8)[:, None, None, None]
    assert motion.edges([clip]) == pytest.approx(1)
    clip[8:] += 60
    assert motion.edges([clip]) > 2


def test_the_report_names_what_is_missed(tmp_path: Path) -> None:
    section = report.Section("Things", "Measured so.")
    section.add("good", 0.97, 0.95)
    section.add("bad", 0.5, 0.3, most=True, form=".2f")
    section.add("told", 3)
    report.save(section, tmp_path / "things.json")
    text = report.report([report.load(tmp_path / "things.json")], ["a fact"])
    assert "1 of 2 goals are met" in text
    assert "- Things: bad: 0.50" in text
    assert "| good | 97% | at least 95% | yes |" in text
    assert "| bad | 0.50 | at most 0.30 | **missed** |" in text
