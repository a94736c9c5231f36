"""What is said of a bucket that cannot be used, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowsynth.cache.remote.bucket import BucketPlace
from flowsynth.cache.remote.place import GoneError
from flowsynth.core.errors import RequestError
from tests.cache.remote.machines import run

ADDRESS = "s3://some-bucket/some/folder"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint where nobody answers."""
    pytest.importorskip("obstore", reason="s3:// goes by obstore (extra remote)")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret-of-mine")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_server_that_is_not_there(tmp_path: Path, nobody: None) -> None:
    with pytest.raises(RequestError, match="it does not answer") as error:
        run(tmp_path, "first", ADDRESS)
    assert "secret-of-mine" not in str(error.value)
    assert not (tmp_path / "first").exists()
    with pytest.raises(GoneError, match=r"^it does not answer$"):
        BucketPlace(ADDRESS).put("a", b"")


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "http://", "http://a b", "ftp://host", "http://me:word@host"]
)
def test_endpoints_that_are_none(
    tmp_path: Path, nobody: None, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(RequestError, match="AWS_ENDPOINT_URL: expected the address of a server") as error:
        run(tmp_path, "first", ADDRESS)
    assert "word" not in str(error.value)


def test_an_endpoint_is_that_of_its_store(
    tmp_path: Path, nobody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    monkeypatch.setenv("GOOGLE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "secret-of-mine")
    with pytest.raises(RequestError, match="it does not answer") as error:
        run(tmp_path, "first", "gs://some-bucket/folder")
    assert "secret-of-mine" not in str(error.value)
    monkeypatch.setenv("GOOGLE_BASE_URL", "ftp://host")
    with pytest.raises(RequestError, match="GOOGLE_BASE_URL: expected the address of a server"):
        run(tmp_path, "first", "gs://some-bucket/folder")


def test_offline_leaves_the_network_alone(tmp_path: Path) -> None:
    found = run(tmp_path, "first", ADDRESS, offline=True)
    assert found.record.notes == [f"cache.remote: {ADDRESS} was not used: offline"]
    assert run(tmp_path, "second", f"file://{tmp_path / 'place'}", offline=True).ok
    assert (tmp_path / "place" / "rows").is_dir()


def test_without_obstore_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(RequestError, match=r"pip install 'flowsynth-engine\[remote\]'"):
        run(tmp_path, "first", ADDRESS)
