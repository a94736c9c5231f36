"""A bucket behind the cache: a real S3 server, real processes. Needs obstore and ``moto[server]``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.cache.remote.bucket import BucketPlace
from flowsynth.cache.remote.place import DeniedError
from flowsynth.core.errors import RequestError
from tests.cache.remote.machines import graph, results, run, statuses
from tests.cache.remote.server import BUCKET, GOOGLE_BUCKET, SECRET, Server, serving

pytest.importorskip("obstore", reason="s3:// goes by obstore (extra remote)")
pytest.importorskip("moto", reason="the S3 server of these tests is moto's: pip install 'moto[server]'")

ROOT = Path(__file__).parents[3]
ADDRESS = f"s3://{BUCKET}/some/folder"
#: The default graph in a small size.
SMALL = ("frames=2", "short_side=96", "smooth=0", "graph.nodes.denoise.params.num_inference_steps=2")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def body(place: BucketPlace, name: str) -> bytes:
    got = place.get(name)
    assert got is not None
    data = b"".join(got.parts)
    assert got.size == len(data) == place.size(name)
    return data


@pytest.fixture(params=["s3", "gs"])
def address(request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of a bucket, by the client of either vendor."""
    google = request.param == "gs"
    for name, value in (server.google_environment if google else server.environment).items():
        monkeypatch.setenv(name, value)
    return f"gs://{GOOGLE_BUCKET}/some/folder" if google else ADDRESS


@pytest.mark.parametrize("size", [0, 1, 5000, 12_000_000])
def test_bytes_come_back(address: str, size: int) -> None:
    place = BucketPlace(address)
    data = os.urandom(size)
    assert place.get(f"rows/{size}") is None
    assert place.size(f"rows/{size}") is None
    place.put(f"rows/{size}", memoryview(data))
    assert body(place, f"rows/{size}") == data
    place.put(f"rows/{size}", b"other")
    assert body(place, f"rows/{size}") == b"other"


def test_an_empty_machine_takes_all_from_a_bucket(tmp_path: Path, address: str) -> None:
    address = f"{address}/hits"
    first = run(tmp_path, "first", address)
    second = run(tmp_path, "second", address)
    assert statuses(second) == {"hit"}
    assert results(second) == results(first)
    assert statuses(run(tmp_path, "second", None)) == {"hit"}
    place = BucketPlace(address)
    objects = [p.name for p in (tmp_path / "first" / "objects").rglob("*") if p.is_file()]
    for name in objects:
        there = f"objects/{name[:2]}/{name}"
        data = bytearray(body(place, there))
        data[-1] ^= 1
        place.put(there, bytes(data))
    third = run(tmp_path, "third", address)
    assert results(third) == results(first)
    assert any(f"{len(objects)} damaged file(s)" in note for note in third.record.notes)
    fourth = run(tmp_path, "fourth", address)
    assert statuses(fourth) == {"hit"}
    assert not any("damaged" in note for note in fourth.record.notes)


def test_a_bucket_that_is_not_there(tmp_path: Path, bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match=r"cache\.remote: s3://no-such-bucket/x: NoSuchBucket; expected"):
        run(tmp_path, "first", "s3://no-such-bucket/x")
    with pytest.raises(DeniedError, match="NoSuchBucket"):
        BucketPlace("s3://no-such-bucket/x").put("a", b"")
    for name, value in bucket.google_environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match=r"cache\.remote: gs://nosuchbucket/x: NoSuchBucket; expected"):
        run(tmp_path, "first", "gs://nosuchbucket/x")


def test_keys_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(checks_keys=True) as strict:
        for name, value in strict.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RequestError) as error:
            run(tmp_path, "first", ADDRESS)
    said = str(error.value)
    assert "InvalidAccessKeyId" in said or "403 Forbidden" in said
    assert SECRET not in said
    assert "AKID" not in said


KILLED = """
import sys
from pathlib import Path
from flowsynth.core.events import Observer
from tests.cache.remote.machines import run

class Kill(Observer):
    def node_finished(self, node, status, seconds, error=""):
        if node == "clip":
            import os, signal
            os.kill(int(sys.argv[2]), signal.SIGKILL)

folder = Path(sys.argv[1])
found = run(folder, "first", sys.argv[3], observer=Kill(), output_dir=folder / "out")
assert found.ok
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_server_that_is_killed_while_the_run_goes_on(tmp_path: Path) -> None:
    with serving() as mortal:
        env = {**os.environ, **mortal.environment, "PYTHONPATH": str(ROOT)}
        given = [str(tmp_path), str(mortal.process.pid), ADDRESS]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *given],
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "run.json").read_text()
    record = json.loads(text)
    assert record["status"] == "done"
    said = [note for note in record["notes"] if "did not answer" in note]
    assert said == [f"{ADDRESS} did not answer (it does not answer); the run went on without it"]
    assert SECRET not in text
    assert SECRET not in done.stderr
    assert statuses(graph(tmp_path).run(cache_dir=tmp_path / "first", chunk=8)) == {"hit"}


@pytest.mark.slow
def test_an_empty_machine_gets_the_default_graph(tmp_path: Path, bucket: Server) -> None:
    def flowsynth(*argv: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "flowsynth", *argv, *SMALL, f"cache.remote={ADDRESS}/toon"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        return done.stdout

    flowsynth("run", "cache.dir=first", "output_dir=o1")
    began = time.perf_counter()
    plan = json.loads(flowsynth("plan", "cache.dir=second", "--json"))
    nodes = plan["nodes"].values()
    assert len(nodes) >= 12
    assert all(node["status"] == "hit" and node["remote"] for node in nodes)
    flowsynth("run", "cache.dir=second", "output_dir=o2")
    print(f"{len(nodes)} hits: plan and run in {time.perf_counter() - began:.1f} s")
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("o1", "o2"))
    assert {node["status"] for node in two["nodes"].values()} == {"hit"}
    objects = [{name: node["objects"] for name, node in record["nodes"].items()} for record in (one, two)]
    assert objects[0] == objects[1]
    shutil.rmtree(tmp_path / "first")
