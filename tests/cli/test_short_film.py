"""A film out of one sentence: in time, as loud as asked, without a network."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import flowsynth as fs
from flowsynth.cli import main
from flowsynth.media.sound_filters import filtered

needs_voice = pytest.mark.skipif(
    importlib.util.find_spec("hibari") is None, reason="NOT TESTED: hibari-tts is not installed"
)
SENTENCE = "A boat went out to sea."


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (90, 160), (70, 80, 90)).save("grey.png")
    return tmp_path


def decoded(file: Path) -> tuple[list[Any], Any, int]:
    """Frames, samples, and their rate."""
    with av.open(str(file)) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    with av.open(str(file)) as opened:
        stream = opened.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray() for frame in opened.decode(stream)], axis=1)
        return frames, sound, int(stream.rate or 0)


def loudness(sound: Any, rate: int) -> float:
    told: dict[str, str] = {}
    whole = np.pad(sound, ((0, 0), (0, -sound.shape[1] % (rate // 10))))
    for found in filtered(iter([whole]), rate, [("ebur128", "metadata=1")]):
        told = found.facts or told
    return float(told["lavfi.r128.I"])


@needs_voice
def test_words_are_read_when_they_are_heard_and_it_is_as_loud_as_asked(place: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    size = ["width=180", "height=320", "input.image=grey.png", "style=none", "cache.dir=c"]
    asked = ["graph=short_video", "offline=true", f"script={SENTENCE}", *size]
    assert main(["run", "-q", *asked, "output_dir=with"]) == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 180
    assert loudness(*decoded(place / "with" / "video.mp4")[1:]) == pytest.approx(-16, abs=1)
    assert main(["run", "-q", *asked, "music_gain=null", "output_dir=without"]) == 0
    frames, sound, rate = decoded(place / "without" / "video.mp4")
    assert frames[0].shape == (320, 180, 3)
    assert loudness(sound, rate) == pytest.approx(-16, abs=1)
    heard = np.flatnonzero(np.abs(sound).max(axis=0) > 0.02 * np.abs(sound).max()) / rate
    read = [k / 24 for k, frame in enumerate(frames) if (frame > 230).all(axis=-1).sum() > 10]
    assert abs(read[0] - heard[0]) < 0.08
    assert abs(read[-1] + 1 / 24 - heard[-1]) < 0.08
    assert abs(len(frames) / 24 - sound.shape[1] / rate) < 0.1


@needs_voice
def test_without_music_nothing_of_it_is_read_and_a_folder_is_searched(place: Path) -> None:
    (place / "footage").mkdir()
    Image.new("RGB", (90, 160), (200, 40, 40)).save("footage/boat at sea.png")
    Image.new("RGB", (90, 160), (40, 200, 40)).save("footage/dog.png")
    changes = [f"script={SENTENCE}", "music=nothing.mp3", "music_gain=null", "folder=footage", "width=64"]
    graph = fs.compose("short_video", [*changes, "height=96", "fps=4", "input.image=grey.png"])
    run = graph.run(outputs=["shots", "loud"], cache_dir=place / "c")
    assert set(run.record.nodes) == {"speech", "said", "sound", "loud", "pictures", "look", "shots"}
    assert run["shots"].tensor[0, :, 50, 30].tolist() == [200, 40, 40]


def test_a_film_of_drawn_clips_and_one_about_a_topic_are_right() -> None:
    drawn = fs.compose("short_video_drawn", ["script=One. Two."])
    assert {"first/denoise", "second/denoise", "third/denoise", "speech"} <= set(drawn.nodes)
    topic = fs.compose("short_video_topic", ["topic=salt"])
    assert "about this: salt" in topic.nodes["writer"].operator.model_dump()["prompt"]
