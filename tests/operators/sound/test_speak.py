from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.operators.sound.speak import Speak

TEXT = "Hello there. It is 7:30 pm, and this is a test!"
needs_voice = pytest.mark.skipif(
    importlib.util.find_spec("hibari") is None, reason="NOT TESTED: hibari-tts is not installed"
)


@needs_voice
def test_cues_are_where_the_voice_is() -> None:
    """The sound is silent between cues, and loud within 80 ms of their beginnings and ends."""
    audio, cues = Speak(text=TEXT, pause=0.4).run(RunContext())
    assert [cue["text"] for cue in cues] == ["Hello there.", "It is 7:30 pm, and this is a test!"]
    sound, rate = audio.parts[0][:, 0].numpy(), audio.sample_rate
    assert rate == 24_000
    loud = np.abs(sound) > 0.02 * np.abs(sound).max()
    for cue in cues:
        first, last = round(cue["start"] * rate), round(cue["end"] * rate)
        within = np.flatnonzero(loud[first:last])
        assert within[0] / rate < 0.08
        assert (last - first - within[-1]) / rate < 0.08
        assert not np.abs(sound[last : last + round(0.4 * rate)]).any()
    assert len(sound) == round(cues[-1]["end"] * rate) + round(0.4 * rate)


@needs_voice
def test_a_sentence_sounds_the_same_wherever_it_stands() -> None:
    alone, _ = Speak(text="Hello there.", pause=0).run(RunContext())
    audio, cues = Speak(text="One two three. Hello there.", pause=0).run(RunContext())
    start = round(cues[1]["start"] * audio.sample_rate)
    assert np.array_equal(audio.parts[0][start:].numpy(), alone.parts[0].numpy())
    other, _ = Speak(text="Hello there.", pause=0, seed=1).run(RunContext())
    assert not np.array_equal(other.parts[0].numpy(), alone.parts[0].numpy())


@needs_voice
def test_speech_is_as_quick_as_asked() -> None:
    slow, fast = (Speak(text=TEXT, pause=0, speed=speed).run(RunContext())[0] for speed in (0.8, 1.6))
    assert slow.num_samples / fast.num_samples == pytest.approx(2, rel=0.15)


@needs_voice
def test_the_package_is_a_part_of_the_key() -> None:
    speak = Speak(text=TEXT)
    assert speak.files(RunContext())["package"].name == "RECORD"
    assert speak.key_params(("package",))["package"]


@needs_voice
@pytest.mark.parametrize("text", ["...", "!!! -"])
def test_nothing_that_could_be_said_fails_with_a_message(text: str, tmp_path: Path) -> None:
    g = fs.Graph("g")
    g.add("say", Speak(text=text))
    with pytest.raises(fs.RunFailedError, match="nothing that could be said"):
        g.run(outputs=["say"], cache_dir=tmp_path)


def test_no_text_or_two_texts_are_faults() -> None:
    node: dict[str, Any] = {"op": "speak"}
    with pytest.raises(GraphError, match=r"a\.params\.text: nothing to say"):
        fs.Graph.from_dict({"nodes": {"a": node}})


def test_without_the_package_a_graph_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    faults = Speak(text="x").check({})
    assert "hibari-tts is not installed; expected pip install 'flowsynth-engine[speech]'" in str(faults[0])
