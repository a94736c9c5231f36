import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml
from safetensors.numpy import save

from flowsynth.core.errors import InputError
from flowsynth.fetch.catalogue import ArchiveFolder
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.weights import catalogue
from flowsynth.weights.catalogue import read_catalogue
from flowsynth.weights.store import fetch_weights, is_sound
from flowsynth.weights.tensors import load_tensors, tensors_sha256

#: Puts one entry into the catalogue; gives the file that it is fetched from.
Enter = Callable[..., Path]
TENSORS: dict[str, npt.NDArray[Any]] = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones((), np.float16),
}


def torch_bytes(tensors: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save({"params": {f"module.{k}": torch.from_numpy(np.array(v)) for k, v in tensors.items()}}, file)
    return file.getvalue()


def h5_bytes(tensors: dict[str, Any]) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        for name, array in tensors.items():
            opened[name] = array
    return file.getvalue()


MAKERS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "safetensors": save,
    "torch": torch_bytes,
    "h5": h5_bytes,
}


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Put one entry, of files in a folder, into the catalogue."""

    def make(format_: str = "safetensors", data: bytes | None = None, **changes: Any) -> Path:
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        data = MAKERS[format_](TENSORS) if data is None else data
        (source / "w.bin").write_bytes(data)
        entry = {
            "about": "a test",
            "licence": "none",
            "network": "any",
            "format": format_,
            "files": {"w.bin": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}},
            "sources": [{"path": str(source)}],
            "size": 26,
            "tensors_sha256": tensors_sha256(TENSORS),
            **changes,
        }
        (tmp_path / "weights.yaml").write_text(yaml.safe_dump({"thing": entry}))
        monkeypatch.setattr(catalogue, "catalogue", lambda: read_catalogue(tmp_path / "weights.yaml"))
        return source / "w.bin"

    return make


@pytest.mark.parametrize("format_", list(MAKERS))
def test_converted_once_and_kept(enter: Enter, tmp_path: Path, format_: str) -> None:
    source = enter(format_)
    path = fetch_weights("thing", tmp_path)
    source.unlink()
    assert fetch_weights("thing", tmp_path, offline=True) == path
    loaded = load_tensors(path)
    assert {k: v.dtype for k, v in loaded.items()} == {k: v.dtype for k, v in TENSORS.items()}
    assert all(np.array_equal(loaded[name], array) for name, array in TENSORS.items())
    assert not [p for p in path.parent.iterdir() if p.suffix not in (".safetensors", ".lock")]


def test_a_changed_file_is_fetched_again(enter: Enter, tmp_path: Path) -> None:
    enter()
    path = fetch_weights("thing", tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    for damaged in (bytes(data), bytes(data[:-3]), b""):
        path.write_bytes(damaged)
        assert not is_sound(catalogue.find_weights("thing"), tmp_path)
        with pytest.raises(OfflineError, match="found a damaged file"):
            fetch_weights("thing", tmp_path, offline=True)
        assert is_sound(catalogue.find_weights("thing"), fetch_weights("thing", tmp_path).parent.parent)


def test_other_bytes_are_refused(enter: Enter, tmp_path: Path) -> None:
    source = enter()
    source.write_bytes(source.read_bytes()[:-1] + b"x")
    with pytest.raises(ChecksumError, match="sha256"):
        fetch_weights("thing", tmp_path)
    enter(tensors_sha256="0" * 64)
    with pytest.raises(ChecksumError, match="0" * 64):
        fetch_weights("thing", tmp_path)
    assert not list((tmp_path / "weights").glob("*.safetensors"))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (os.environ["EVIL_FOLDER"],))


def test_a_checkpoint_that_would_run_code_is_refused(
    enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    file = io.BytesIO()
    torch.save({"a": torch.ones(1), "b": Evil()}, file)
    enter("torch", file.getvalue())
    with pytest.raises(FetchError, match="not a checkpoint of nothing but tensors"):
        fetch_weights("thing", tmp_path)
    assert not (tmp_path / "evil").exists()


def test_sources_are_tried_in_order(enter: Enter, tmp_path: Path) -> None:
    source = enter()
    enter(sources=[{"path": str(tmp_path / "none")}, {"path": str(source.parent)}])
    assert fetch_weights("thing", tmp_path).is_file()
    enter(sources=[{"path": "/none/a"}, {"path": "/none/b"}])
    with pytest.raises(
        OfflineError, match=r"/none/a or /none/b, found /none/a: No such file.*; /none/b: No such file"
    ):
        fetch_weights("thing", tmp_path / "other")


def test_a_hub_repository_out_of_its_own_cache(
    enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = enter()
    commit = "1" * 40
    folder = tmp_path / "hub" / "models--org--name" / "snapshots" / commit / "sub"
    folder.mkdir(parents=True)
    (folder / "w.bin").write_bytes(source.read_bytes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    enter(sources=[{"hub": "org/name", "revision": commit, "subfolder": "sub"}])
    assert is_sound(catalogue.find_weights("thing"), fetch_weights("thing", tmp_path).parent.parent)
    enter(sources=[{"hub": "org/other", "revision": commit}])
    with pytest.raises(OfflineError, match="org/other at 1111"):
        fetch_weights("thing", tmp_path / "b")


def test_unknown_names_say_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'rife-v4'"):
        fetch_weights("rife-4", Path("unused"))


def test_the_shipped_catalogue_is_whole() -> None:
    entries = catalogue.catalogue()
    assert {"rife-v4", "realesr-animevideo", "realesrgan-x4plus", "realesrgan-x4plus-anime"} <= set(entries)
    for entry in entries.values():
        assert len(entry.tensors_sha256) == 64
        assert entry.size > 0
        assert entry.licence
        for file in entry.files:
            assert (len(file.sha256), file.size > 0) == (64, True)
        for place in entry.places:
            assert not isinstance(place, ArchiveFolder) or len(place.archive.sha256) == 64


def test_the_checksum_is_of_the_tensors_not_of_their_order() -> None:
    backwards = dict(reversed(TENSORS.items()))
    assert tensors_sha256(backwards) == tensors_sha256(TENSORS)
    for name, array in (("a.weight", TENSORS["a.weight"].T), ("b", np.ones((1,), np.float16))):
        assert tensors_sha256({**TENSORS, name: array}) != tensors_sha256(TENSORS)
