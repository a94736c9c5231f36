"""espeak-ng, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.operators.sound._voices import voice_of
from flowsynth.operators.sound.speak import Speak

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="NOT TESTED: espeak-ng is not installed (apt install espeak-ng)"
)
TEXT = "Wir waren am Meer. Es war 7 Grad kalt!"


@needs_espeak
def test_another_language_is_read_and_cues_are_where_the_voice_is() -> None:
    audio, cues = Speak(text=TEXT, voice="espeak:de", pause=0.4).run(RunContext())
    assert [cue["text"] for cue in cues] == ["Wir waren am Meer.", "Es war 7 Grad kalt!"]
    sound, rate = audio.tensor[:, 0].numpy(), audio.sample_rate
    loud = np.abs(sound) > 0.02 * np.abs(sound).max()
    for cue in cues:
        first, last = round(cue["start"] * rate), round(cue["end"] * rate)
        within = np.flatnonzero(loud[first:last])
        assert within[0] / rate < 0.08
        assert (last - first - within[-1]) / rate < 0.08
        assert last - first > 0.5 * rate
    again, _ = Speak(text=TEXT, voice="espeak:de", pause=0.4).run(RunContext())
    assert np.array_equal(again.tensor.numpy(), audio.tensor.numpy())


@needs_espeak
def test_speed_and_language_change_the_sound_and_the_key() -> None:
    german, fast, english = (
        Speak(text=TEXT, pause=0, **given).run(RunContext())[0].num_samples
        for given in (
            {"voice": "espeak:de"},
            {"voice": "espeak:de", "speed": 1.6},
            {"voice": "espeak:en"},
        )
    )
    assert german / fast == pytest.approx(1.6, rel=0.25)
    assert german != english
    files = [Speak(text="x", voice=f"espeak:{name}").files(RunContext()) for name in ("de", "fr")]
    assert {"program", "phondata", "dictionary"} <= set(files[0])
    assert files[0]["dictionary"] != files[1]["dictionary"]
    assert "1." in str(Speak(text="x", voice="espeak:de").key_params(())["package"])


@needs_espeak
@pytest.mark.parametrize("text", ["-v fr", "--help", "<speak>x</speak>", "'; rm -rf /"])
def test_a_text_is_never_an_option(text: str) -> None:
    sound = voice_of("espeak:en").say(text, 1.0, 0)
    assert len(sound) > 1000


def speaker(voice: str) -> dict[str, Any]:
    return {"nodes": {"a": {"op": "speak", "params": {"text": "x", "voice": voice}}}}


@needs_espeak
def test_a_language_that_it_does_not_have_is_told() -> None:
    with pytest.raises(GraphError, match=r"a\.params\.voice: espeak-ng has no voice 'xx'"):
        fs.Graph.from_dict(speaker("espeak:xx"))


def test_without_the_program_a_graph_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(GraphError, match=r"a\.params\.voice: espeak-ng is not installed; expected apt"):
        fs.Graph.from_dict(speaker("espeak:de"))
    with pytest.raises(GraphError, match=r"a\.params\.voice"):
        fs.Graph.from_dict(speaker("robot"))


def test_a_program_that_fails_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowsynth.core.errors import InputError
    from flowsynth.operators.sound import _voices

    def failed(*_: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 1, b"", b"no memory\nmore")

    monkeypatch.setattr(subprocess, "run", failed)
    with pytest.raises(InputError, match=r"speak: espeak-ng failed: no memory$"):
        _voices._Espeak("de").say("x", 1.0, 0)
