from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from flowsynth.core.errors import RequestError
from flowsynth.media.subtitles import checked, parse_srt, shaped, text_at, to_ass, to_srt, to_vtt

CUES: list[dict[str, Any]] = [
    {"start": 0.0, "end": 1.5, "text": "Short."},
    {"start": 2.0, "end": 6.0, "text": "A sentence that is longer than a line may be."},
]


def test_long_cues_are_split_between_words_and_share_their_time_by_letters() -> None:
    pieces = shaped(CUES, 20)
    assert [piece["text"] for piece in pieces] == [
        "Short.",
        "A sentence that is",
        "longer than a line",
        "may be.",
    ]
    assert all(len(piece["text"]) <= 20 for piece in pieces)
    assert pieces[1]["start"] == 2.0
    assert pieces[-1]["end"] == pytest.approx(6.0)
    assert all(a["end"] == b["start"] for a, b in pairwise(pieces[1:]))
    assert pieces[1]["end"] - 2 == pytest.approx(4 * 18 / 43)


def test_a_word_longer_than_a_line_stays_whole() -> None:
    assert [p["text"] for p in shaped([{"start": 0, "end": 1, "text": "a" * 30 + " b"}], 10)] == [
        "a" * 30,
        "b",
    ]
    assert shaped([{"start": 0, "end": 1, "text": "  "}], 10) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "Short."), (1.49, "Short."), (1.5, ""), (2.0, CUES[1]["text"]), (6.0, "")]
)
def test_what_is_said_at_a_moment(seconds: float, text: str) -> None:
    assert text_at(CUES, seconds) == text


def test_subrip_there_and_back() -> None:
    late = [*CUES, {"start": 3725.0625, "end": 3726.9996, "text": "two\nlines"}]
    text = to_srt(late)
    assert "01:02:05,062 --> 01:02:07,000" in text
    back = parse_srt("\ufeff" + text.replace("\n", "\r\n"), "x.srt")
    assert [cue["text"] for cue in back] == [cue["text"] for cue in late]
    assert all(abs(a["start"] - b["start"]) < 1e-3 for a, b in zip(back, late, strict=True))


def test_other_formats_hold_what_would_be_a_command_as_text() -> None:
    cues = [{"start": 0, "end": 61.5, "text": "a < b {\\b1} & c"}]
    assert "00:01:01.500\na &lt; b {\\b1} &amp; c" in to_vtt(cues)
    assert "Dialogue: 0,0:00:00.00,0:01:01.50,Default,a < b (\\b1) & c\n" in to_ass(cues)
    assert parse_srt("1\n00:00:00,000 --> 00:00:01,000\n<i>so</i> {\\an8}it is", "x")[0]["text"] == "so it is"


@pytest.mark.parametrize(
    ("cues", "wrong"),
    [
        ({}, "expected a list of start, end and text; given dict"),
        ([{"start": 1}], r"cues\[0\]: expected start, end and text"),
        ([{"start": 2, "end": 1, "text": "x"}], r"cues\[0\] \('x'\): expected a start from 0 s"),
        ([{"start": 0, "end": 2, "text": "a"}, {"start": 1, "end": 3, "text": "b"}], r"cues\[1\].*from 2 s"),
        ([{"start": float("nan"), "end": 2, "text": "a"}], "expected a start"),
    ],
)
def test_cues_that_are_none_are_refused_by_their_place(cues: Any, wrong: str) -> None:
    with pytest.raises(RequestError, match=wrong):
        checked(cues, "node")


def test_a_file_without_times_is_refused_with_its_name() -> None:
    with pytest.raises(RequestError, match=r"talk\.srt: expected 00:00:01,000"):
        parse_srt("hello", "talk.srt")
