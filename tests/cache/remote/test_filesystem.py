"""A bucket behind the cache by fsspec, where obstore is missing: s3fs against a real S3 server."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.cache.remote.filesystem import FilesystemPlace
from flowsynth.cache.remote.place import DeniedError, GoneError
from flowsynth.core.errors import RequestError
from tests.cache.remote.machines import results, run, statuses
from tests.cache.remote.server import BUCKET, SECRET, Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("s3fs", reason="the client of these tests is s3fs")
    pytest.importorskip("moto", reason="the S3 server of these tests is moto's: pip install 'moto[server]'")
    with serving() as found:
        yield found


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of a bucket, on a machine without obstore."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def body(place: FilesystemPlace, name: str) -> bytes:
    got = place.get(name)
    assert got is not None
    data = b"".join(got.parts)
    assert got.size == len(data) == place.size(name)
    return data


@pytest.mark.parametrize("size", [0, 5000, 20_000_000])
@pytest.mark.parametrize("where", ["memory", "s3"])
def test_bytes_come_back(request: pytest.FixtureRequest, where: str, size: int) -> None:
    address = request.getfixturevalue("bucket") if where == "s3" else f"memory://{uuid.uuid4().hex}/folder"
    place, other = FilesystemPlace(address), FilesystemPlace(address)
    data = os.urandom(size)
    place.put("mark", b"")
    assert place.get("rows/ab/x") is None
    assert place.size("rows/ab/x") is None
    assert place.size("rows") is None
    other.put("rows/ab/x", memoryview(data))
    assert body(place, "rows/ab/x") == data
    other.put("rows/ab/x", b"other")
    assert body(place, "rows/ab/x") == b"other"


def test_an_empty_machine_takes_all_from_a_bucket(tmp_path: Path, bucket: str) -> None:
    first = run(tmp_path, "first", bucket)
    second = run(tmp_path, "second", bucket)
    assert statuses(second) == {"hit"}
    assert results(second) == results(first)
    assert statuses(run(tmp_path, "second", None)) == {"hit"}


def test_what_one_client_puts_the_other_reads(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "obstore")
    pytest.importorskip("obstore", reason="the other client is obstore")
    first = run(tmp_path, "first", bucket)
    monkeypatch.setitem(sys.modules, "obstore", None)
    second = run(tmp_path, "second", bucket)
    assert statuses(second) == {"hit"}
    assert results(second) == results(first)


def test_no_such_bucket_is_no_missing_name(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(DeniedError, match="NoSuchBucket"):
        FilesystemPlace("s3://no-such-bucket/folder").get("rows/ab/x")
    with pytest.raises(RequestError, match="NoSuchBucket"):
        run(tmp_path, "first", "s3://no-such-bucket/folder")


def test_a_server_that_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(GoneError) as error:
        FilesystemPlace(bucket).put("a", b"")
    assert SECRET not in str(error.value)
    assert "127.0.0.1" not in str(error.value)
