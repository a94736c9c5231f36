from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError, RequestError
from flowsynth.operators.sound.duck_audio import DuckAudio
from flowsynth.values import Audio

RATE = 1000
CUES: list[Any] = [
    {"start": 2.0, "end": 4.0, "text": "a"},
    {"start": 4.3, "end": 6.0, "text": "b"},
    {"start": 9.0, "end": 10.0, "text": "c"},
]


def silence(seconds: float) -> Audio:
    return Audio(torch.zeros(round(seconds * RATE), 1), RATE)


def level(made: Audio, first: float, last: float) -> float:
    """Loudness of a tone, decibels of full scale."""
    part = made.tensor[round(first * RATE) : round(last * RATE), 0].double()
    return float(10 * torch.log10(2 * part.square().mean()))


def tone(seconds: float) -> Audio:
    moments = np.arange(round(seconds * RATE)) / RATE
    return Audio(torch.tensor(np.sin(2 * np.pi * 50 * moments), dtype=torch.float32)[:, None], RATE)


def noise(seconds: float) -> Audio:
    return Audio(torch.randn(round(seconds * RATE), 1, generator=torch.Generator().manual_seed(0)) / 4, RATE)


DUCK = DuckAudio(gain=-6, depth=20, fade=0.4, end=1)


def test_music_is_down_while_something_is_said_and_up_between() -> None:
    made = DUCK.run(RunContext(), audio=silence(12), cues=CUES, music=tone(40))
    assert made.num_samples == 12 * RATE
    assert level(made, 0.2, 1.5) == pytest.approx(-6, abs=0.1)
    for first, last in ((2, 6), (9, 10)):  # the pause of 0.3 s is too short to come back in
        assert level(made, first, last) == pytest.approx(-26, abs=0.1)
    assert level(made, 6.5, 8.5) == pytest.approx(-6, abs=0.1)
    assert level(made, 11.9, 12) < -20


def test_short_music_comes_again_without_a_gap() -> None:
    made = DuckAudio(gain=0, depth=0, end=0).run(RunContext(), audio=silence(12), cues=[], music=noise(3))
    levels = [level(made, k / 4, (k + 1) / 4) for k in range(44)]
    assert max(levels) - min(levels) < 3


def test_speech_stays_as_it_is_and_without_a_gain_there_is_no_music() -> None:
    speech = tone(3)
    alone = DuckAudio(gain=None).run(RunContext(), audio=speech, cues=CUES, music=tone(1))
    assert torch.equal(alone.tensor, speech.tensor)
    assert DuckAudio(gain=None).unread() == ("music",)
    both = DUCK.run(RunContext(), audio=speech, cues=CUES, music=tone(9))
    only = DUCK.run(RunContext(), audio=silence(3), cues=CUES, music=tone(9))
    assert torch.allclose(both.tensor, speech.tensor + only.tensor, atol=1e-6)


def test_sounds_that_differ_are_refused() -> None:
    with pytest.raises(RequestError, match="expected sounds of one rate"):
        DUCK.run(RunContext(), audio=silence(1), cues=[], music=Audio(torch.zeros(9, 2), RATE))
    with pytest.raises(RequestError, match="given one of no sample"):
        DUCK.run(RunContext(), audio=silence(1), cues=[], music=silence(0))


def test_the_music_inside_the_package_is_music(tmp_path: Any) -> None:
    read: dict[str, Any] = {"op": "read_audio", "params": {"path": "sound:pad"}}
    run = fs.Graph.from_dict({"nodes": {"a": read}, "outputs": ["a"]}).run(cache_dir=tmp_path)
    sound: Audio = run["a"]
    assert sound.num_samples / sound.sample_rate == pytest.approx(16, abs=0.1)
    assert 0.2 < float(sound.tensor.abs().max()) < 0.8
    first, last = sound.tensor[:4800].square().mean(), sound.tensor[-4800:].square().mean()
    assert first / last == pytest.approx(1, abs=0.5)
    read["params"] = {"path": "sound:pda"}
    wrong = fs.Graph.from_dict({"nodes": {"a": read}, "outputs": ["a"]})
    with pytest.raises(InputError, match="sound:pda"):
        wrong.run(cache_dir=tmp_path)
