"""A delivered file stays where it is as it was to be, and is written anew where anything is otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowsynth.api.run as api_run
from flowsynth.api import Graph
from flowsynth.api.outputs import deliver
from flowsynth.operators.files.encode_video import EncodeVideo
from tests.streams import Counter, Invert, write_source


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were written."""
    names: list[str] = []
    really = deliver

    def noted(value: object, stem: str, folder: Path, provenance: str) -> object:
        names.append(stem)
        return really(value, stem, folder, provenance)

    monkeypatch.setattr(api_run, "deliver", noted)
    return names


def graph(folder: Path, strength: int = 255) -> Graph:
    g = Graph("clip")
    clip = g.add("clip", Counter(path=write_source(folder / "s.txt", range(3))))
    g.add("video", EncodeVideo(codec="h264"), frames=g.add("map", Invert(strength=strength), frames=clip))
    g.outputs = ["video"]
    return g


def test_it_stays(tmp_path: Path, written: list[str]) -> None:
    out = tmp_path / "out"
    g = graph(tmp_path)
    g.run(cache_dir=tmp_path / "cache", output_dir=out)
    before = (out / "video.mp4").stat()
    run = g.run(cache_dir=tmp_path / "cache", output_dir=out)
    assert written == ["video"]
    assert (out / "video.mp4").stat() == before
    assert run.record.outputs == {"video": "video.mp4"}
    assert run.main_output == out / "video.mp4"


def test_it_is_written_where_anything_differs(tmp_path: Path, written: list[str]) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    g = graph(tmp_path)
    g.run(cache_dir=cache, output_dir=out)
    file = out / "video.mp4"
    whole = file.read_bytes()
    for change in (b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"x"):
        file.write_bytes(change)
        g.run(cache_dir=cache, output_dir=out)
        assert len(file.read_bytes()) == len(whole)
    file.unlink()
    g.run(cache_dir=cache, output_dir=out)
    target = tmp_path / "target.mp4"
    file.rename(target)
    file.symlink_to(target)
    g.run(cache_dir=cache, output_dir=out)
    assert not file.is_symlink()
    assert len(written) == 6
    graph(tmp_path, 254).run(cache_dir=cache, output_dir=out)
    g.run(cache_dir=cache, output_dir=out)
    g.run(cache_dir=cache, output_dir=tmp_path / "elsewhere")
    assert len(written) == 9


def test_another_request_is_told_in_the_file(tmp_path: Path, written: list[str]) -> None:
    for command in (["flowsynth", "run"], ["flowsynth", "run", "-q"]):
        g = graph(tmp_path)
        g.request = g.request.model_copy(update={"command": command})
        g.run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
    assert len(written) == 2
