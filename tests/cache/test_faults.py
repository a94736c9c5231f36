"""Real kills, real full disks, several processes at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.cache import Cache, CacheError, CacheFull, StoredObject
from flowsynth.cache.objects import ObjectStore
from tests.cache.helpers import key_of, same, sample
from tests.processes import python, start

#: How objects come to their names: as this system does it, and as one does that must name files first.
WAYS = {"unnamed": "import os; assert os.O_TMPFILE", "named": "import os; vars(os).pop('O_TMPFILE', None)"}
LINUX = hasattr(os, "O_TMPFILE")
WRITER = """
import sys
from flowsynth.cache import Cache
from tests.cache.helpers import key_of, sample
cache = Cache(sys.argv[1])
begin = int(sys.argv[2])
print("ready", flush=True)
for n in range(begin, begin + 100000):
    key = f"node {n}"
    assert cache.leases.try_acquire(key)
    stored = sample(n, 200_000)
    cache.put_object(key_of(stored), stored, 0.1)
    cache.record(key, key_of(stored).encode(), 0.1)
    print(n, flush=True)
"""


WAYS_AND_KILLS = [
    pytest.param(way, kills, marks=pytest.mark.slow if kills == 20 else ())
    for way in (["unnamed", "named"] if LINUX else ["named"])
    for kills in (5, 20)
]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(("way", "kills"), WAYS_AND_KILLS)
def test_killed_many_times_nothing_finished_is_lost_and_nothing_partial_is_read(
    tmp_path: Path, way: str, kills: int
) -> None:
    rng = random.Random(0)
    finished = rounds = 0
    while rounds < kills or finished <= kills:  # a busy machine may need more of them
        rounds += 1
        process = start(f"{WAYS[way]}\n{WRITER}", tmp_path, finished)
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate()
        said = [int(line) for line in out.splitlines() if line.strip().isdigit()]
        assert way == "named" or list((tmp_path / "tmp").iterdir()) == [], "nothing is left to be swept"
        with Cache(tmp_path) as cache:
            for n in said:
                row = cache.lookup(f"node {n}")
                assert row is not None, f"node {n} was committed and is gone"
                found = cache.get_object(row.decode())
                assert found is not None
                assert same(found, sample(n, 200_000))
            finished = max([finished, *(n + 1 for n in said)])
            assert cache.leases.try_acquire(f"node {finished}"), "a dead process holds no lease"
            assert cache.verify() == []
            assert list((tmp_path / "tmp").iterdir()) == [], "its temporary files are swept"


WORKER = """
import sys, time
from flowsynth.cache import Cache
cache = Cache(sys.argv[1])
while time.time() < float(sys.argv[2]):
    pass
todo = [f"node {n}" for n in range(150)]
while todo:
    waiting = []
    for key in todo:
        if cache.lookup(key) is not None:
            continue
        if not cache.leases.try_acquire(key):
            assert cache.leases.holder(key) != "", key
            waiting.append(key)
            continue
        if cache.lookup(key) is not None:  # finished between the look and the lease
            cache.leases.release([key])
            continue
        time.sleep(0.0005)
        print(key, flush=True)
        cache.record(key, b"row", 0.0005)
    cache.commit()  # before any wait
    todo = waiting
    time.sleep(0.001)
cache.close()
"""


def test_four_processes_compute_each_node_once(tmp_path: Path) -> None:
    begin = time.time() + 1.5
    processes = [start(WORKER, tmp_path, begin) for _ in range(4)]
    done: Counter[str] = Counter()
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        done.update(out.splitlines())
    assert set(done.values()) == {1}
    assert len(done) == 150


def test_processes_write_the_same_objects_at_once(tmp_path: Path) -> None:
    code = """
import sys
from flowsynth.cache import Cache
from tests.cache.helpers import key_of, sample, same
with Cache(sys.argv[1]) as cache:
    for n in range(30):
        stored = sample(n, 100_000)
        cache.put_object(key_of(stored), stored, 1.0)
        assert same(cache.get_object(key_of(stored)), stored)
    assert cache.objects.quarantined == []
"""
    processes = [start(code, tmp_path) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    with Cache(tmp_path) as cache:
        assert cache.verify() == []
        assert len(list(cache.ls())) == 30


LIMITED = """
import resource, sys
from flowsynth.cache import Cache, CacheError, CacheFull
from tests.cache.helpers import key_of, sample
cache = Cache(sys.argv[1])
cache.record("before", b"row", 1.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for nbytes in (400_000, 3_000_000, 20_000_000):  # each way of writing
    large = sample(1, nbytes)
    try:
        cache.put_object(key_of(large), large, 1.0)
    except CacheFull as error:
        assert error.needed > nbytes and key_of(large) in str(error.path), error
    else:
        raise SystemExit("no error")
    assert cache.get_object(key_of(large)) is None
small = sample(2, 1000)
cache.put_object(key_of(small), small, 1.0)
try:
    cache.record("large", bytes(2_000_000), 1.0)
except CacheError as error:
    print(error)
else:
    raise SystemExit("no error")
assert cache.lookup("before") == b"row"
assert cache.lookup("large") == bytes(2_000_000), "kept in memory"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
cache.record("after", b"row", 1.0)  # commits both
cache.close()
with Cache(sys.argv[1]) as cache:
    assert len(cache.lookup("large")) == 2_000_000 and cache.lookup("after") == b"row"
    assert cache.verify() == [] and cache.get_object(key_of(small)) is not None
"""


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
def test_files_that_may_not_grow_are_a_named_error_and_lose_nothing(tmp_path: Path) -> None:
    assert "cache.db" in python(LIMITED, tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("NOT CHECKED: no right to mount a small disk here (run the tests as root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    root = small_disk / "cache"
    with Cache(root) as cache:
        done: list[StoredObject] = []

        def fill_objects() -> None:
            for n in range(100):
                stored = sample(n, 300_000)
                cache.put_object(key_of(stored), stored, 1.0)
                done.append(stored)

        recorded: list[int] = []

        def fill_traces() -> None:
            for n in range(10_000):
                recorded.append(n)
                cache.record(f"node {n}", bytes(20_000), 1.0)

        with pytest.raises(CacheFull, match="free some disk space") as caught:
            fill_objects()
        assert caught.value.needed > 300_000
        assert 5 < len(done) < 20
        assert list((root / "tmp").iterdir()) == []
        with pytest.raises(CacheFull, match=r"cache\.db"):
            fill_traces()
        assert all(cache.lookup(f"node {n}") for n in recorded), "the last one waits in memory"
        for stored in done:
            found = cache.get_object(key_of(stored))
            assert found is not None
            assert same(found, stored)
        cache.release()
        cache.prune(600_000)  # somebody makes room
        cache.record("after", b"row", 1.0)
    with Cache(root) as cache:
        assert all(cache.lookup(f"node {n}") for n in recorded)
        assert cache.lookup("after") == b"row"
        assert cache.verify() == []


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    stored = sample(1)
    with Cache(small_disk / "cache") as cache:
        cache.record("k", b"row", 1.0)
        cache.put_object(key_of(stored), stored, 1.0)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Cache(small_disk / "cache", read_only=True) as cache:
        assert cache.lookup("k") == b"row"
        found = cache.get_object(key_of(stored))
        assert found is not None
        assert same(found, stored)
    with pytest.raises(CacheError, match="cache: ") as caught, Cache(small_disk / "cache") as cache:
        cache.record("k2", b"row", 1.0)
    assert "Traceback" not in str(caught.value)


def test_a_full_disk_at_the_first_open(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(4 * 1024 * 1024 - 8192))
    with pytest.raises(CacheError, match="cache"):
        Cache(small_disk / "cache")
    (small_disk / "filler").unlink()
    with Cache(small_disk / "cache") as cache:
        cache.record("k", b"row", 1.0)
        assert cache.lookup("k") == b"row"


def test_a_flipped_byte_in_every_object_is_found_and_computed_again(tmp_path: Path) -> None:
    stored = [sample(n, 50_000) for n in range(12)]
    with Cache(tmp_path) as cache:
        for value in stored:
            cache.put_object(key_of(value), value, 1.0)
    rng = random.Random(1)
    for info in list(ObjectStore(tmp_path).scan()):
        path = Path(ObjectStore(tmp_path).path(info.key))
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    with Cache(tmp_path) as cache:
        for value in stored:
            assert cache.get_object(key_of(value)) is None
        assert len(cache.objects.quarantined) == 12
        assert cache.stats()["quarantined"] == 12
        for value in stored:
            cache.put_object(key_of(value), value, 1.0)
        assert all(same(cache.get_object(key_of(value)), value) for value in stored)  # type: ignore[arg-type]
        cache.prune()
        assert cache.stats()["quarantined"] == 0
