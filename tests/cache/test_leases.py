from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from flowsynth.cache.leases import Leases
from tests.processes import start

BOTH = pytest.mark.parametrize("portable", [False, True])
HOLD = """
import sys, time
from pathlib import Path
from flowsynth.cache.leases import Leases
leases = Leases(Path(sys.argv[1]), portable=sys.argv[2] == "True")
print(leases.try_acquire("key"), flush=True)
time.sleep(60)
"""


@BOTH
def test_one_holder_at_a_time(tmp_path: Path, portable: bool) -> None:
    mine, other = Leases(tmp_path, portable), Leases(tmp_path, portable)
    assert mine.try_acquire("a")
    assert not mine.try_acquire("a")
    assert not other.try_acquire("a")
    assert other.try_acquire("b")
    assert mine.holder("a") == str(os.getpid())
    assert other.holder("a") in (str(os.getpid()), "unknown")
    assert mine.holder("c") is None
    other.release(["a", "nothing"])
    assert not other.try_acquire("a")
    mine.release(["a"])
    assert other.try_acquire("a")
    assert sorted(other.held()) == ["a", "b"]
    other.close()
    assert mine.try_acquire("a")
    mine.close()


@BOTH
def test_a_killed_holder_leaves_no_lease(tmp_path: Path, portable: bool) -> None:
    process = start(HOLD, tmp_path, portable)
    assert process.stdout.readline().strip() == "True"
    leases = Leases(tmp_path, portable)
    assert not leases.try_acquire("key")
    named = sys.platform == "linux" and not portable
    assert leases.holder("key") == (str(process.pid) if named else "unknown")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert leases.holder("key") is None
    assert leases.try_acquire("key")
    leases.close()


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_forked_child_keeps_no_lease_alive(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from flowsynth.cache.leases import Leases
leases = Leases(Path(sys.argv[1]))
assert leases.try_acquire("key")
if os.fork() == 0:
    print(os.getpid(), flush=True)  # it runs, so it has let go of what it inherited
time.sleep(60)
"""
    process = start(code, tmp_path)
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        assert Leases(tmp_path).try_acquire("key")
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


@BOTH
def test_threads_share_no_key(tmp_path: Path, portable: bool) -> None:
    leases = Leases(tmp_path, portable)
    won: list[str] = []

    def work() -> None:
        won.extend(key for key in map(str, range(300)) if leases.try_acquire(key))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == len(set(won))
    assert portable or len(won) == 300  # files shared by keys may refuse a few
    leases.close()
