from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from flowsynth.cache import Cache
from flowsynth.cache.eviction import score
from tests.cache.helpers import key_of, sample
from tests.processes import python

SIZE = 20_000


def fill(cache: Cache, seeds: range, seconds: float = 1.0) -> list[str]:
    keys = []
    for seed in seeds:
        stored = sample(seed, SIZE)
        keys.append(key_of(stored))
        assert cache.put_object(keys[-1], stored, seconds) is not None
        cache.record(f"trace {seed}", keys[-1].encode(), seconds)
    return keys


def idle(cache: Cache, keys: list[str], hours: float) -> None:
    then = time.time() - hours * 3600
    for key in keys:
        os.utime(cache.objects.path(key), (then, then))


def total(cache: Cache) -> int:
    return sum(info.nbytes for info in cache.ls())


def test_the_score_is_cost_times_recency_over_bytes() -> None:
    assert score(10, 0, 1000) == pytest.approx(2 * score(10, 3600, 1000), rel=1e-6)
    assert score(10, 0, 1000) == pytest.approx(score(20, 0, 2000), rel=1e-3)
    assert score(0, 0, 1) > 0


def test_down_to_the_low_water_mark_cheapest_first(tmp_path: Path) -> None:
    with Cache(tmp_path, max_bytes=10 * (SIZE + 1000)) as cache:
        dear, cheap = fill(cache, range(4), 100.0), fill(cache, range(4, 9), 1.0)
        cache.release()
        (new,) = fill(cache, range(100, 101))
        assert cache.objects.has(new)
        (newer,) = fill(cache, range(101, 102))
        cache.release([new])
        assert total(cache) <= 0.8 * 10 * (SIZE + 1000)
        assert all(map(cache.objects.has, dear))
        assert not all(map(cache.objects.has, cheap))
        assert cache.objects.has(newer)
        cache.commit()
        assert len(cache.traces) == 11, "traces stay"


def test_long_unused_goes_before_recently_used(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        keys = fill(cache, range(6))
        cache.release()
        idle(cache, keys, 50)
        assert cache.get_object(keys[2]) is not None  # counts as a use
        fill(cache, range(4, 5))  # and so does computing it again
        cache.release()
        cache.prune(2 * (SIZE + 1000))
        assert {info.key for info in cache.ls()} == {keys[2], keys[4]}


def test_too_large_is_refused_and_nothing_else_goes(tmp_path: Path) -> None:
    with Cache(tmp_path, max_bytes=5 * SIZE) as cache:
        keys = fill(cache, range(3))
        cache.release()
        large = sample(50, 6 * SIZE)
        assert cache.put_object(key_of(large), large, 1e6) is None
        assert cache.get_object(key_of(large)) is None
        assert all(map(cache.objects.has, keys))
        assert cache.refused == 1


def test_the_live_run_is_never_evicted(tmp_path: Path) -> None:
    with Cache(tmp_path, max_bytes=5 * (SIZE + 1000)) as cache:
        keys = fill(cache, range(5))
        extra = sample(60, SIZE)
        assert cache.put_object(key_of(extra), extra, 1e6) is None, "all is live: refused"
        assert all(map(cache.objects.has, keys))
        assert cache.prune(0).count == 0
        assert cache.put_object(keys[0], sample(0, SIZE), 1.0) is not None, "there already: no room needed"
        cache.release()
        time.sleep(1.05)  # after a refusal it looks again once a second
        assert cache.put_object(key_of(extra), extra, 1e6) is not None


def test_pruning_frees_what_it_says(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        keys = fill(cache, range(10))
        cache.release()
        before = total(cache)
        gone = cache.prune(before // 2)
        assert total(cache) == before - gone.nbytes <= before // 2
        assert sum(map(cache.objects.has, keys)) == 10 - gone.count
        assert cache.prune(10**12).count == 0
        assert cache.prune().count == 0, "no budget, no limit"


def test_what_other_processes_write_counts(tmp_path: Path) -> None:
    budget = 6 * (SIZE + 1000)
    code = """
import sys
from tests.cache.test_eviction import fill
from flowsynth.cache import Cache
with Cache(sys.argv[1]) as cache:
    fill(cache, range(200, 205))
"""
    with Cache(tmp_path, max_bytes=budget) as cache:
        fill(cache, range(1))
        cache.release()
        python(code, tmp_path)
        cache._eviction._scanned -= 60  # a minute later
        fill(cache, range(1, 2))
        assert total(cache) <= budget


def test_threads_stay_within_the_budget(tmp_path: Path) -> None:
    with Cache(tmp_path, max_bytes=8 * (SIZE + 1000)) as cache:

        def work(n: int) -> None:
            for seed in range(n * 100, n * 100 + 20):
                stored = sample(seed, SIZE)
                cache.put_object(key_of(stored), stored, 1.0)
                cache.release([key_of(stored)])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0 < total(cache) <= 8 * (SIZE + 1000)
        assert cache.verify() == []


def test_a_mapped_object_outlives_its_eviction(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        (key,) = fill(cache, range(1))
        found = cache.get_object(key)
        assert found is not None
        cache.release()
        cache.prune(0)
        if os.name == "posix":
            assert not cache.objects.has(key)
        assert bytes(found.encoded.tensors["frames"].data) == bytes(
            sample(0, SIZE).encoded.tensors["frames"].data
        )
