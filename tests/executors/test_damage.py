"""Objects whose bytes changed on disk: found out, computed again, same results."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flowsynth.cache.store import Cache
from tests.executors.lives import Mean, identity, lively
from tests.streams import write_source


def objects(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "objects").rglob("*") if path.is_file())


def flip(paths: list[Path], seed: int) -> None:
    """Change one bit of one byte of every file, wherever in it."""
    rng = random.Random(seed)
    for path in paths:
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


def run(source: Path, cache: Path, executor: str, outputs: list[str] | None = None) -> dict[str, str]:
    graph = lively(source)
    done = graph.run(cache_dir=cache, executor=executor, chunk=8, outputs=outputs, keep="all")
    return {name: identity(done[name]) for name in outputs or graph.outputs}


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_flipped_byte_in_every_object_of_a_mixed_graph(tmp_path: Path, executor: str, seed: int) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    expected = run(source, tmp_path / "cache", executor)
    flip(objects(tmp_path / "cache"), seed)
    assert run(source, tmp_path / "cache", executor) == expected
    with Cache(tmp_path / "cache") as cache:
        assert cache.stats()["quarantined"] > 0
        assert cache.verify() != [], "what nobody read is still damaged, and is found when asked for"


def test_single_values_are_found_damaged_and_made_again(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(8))
    wanted = ["m5", "m7", "trail"]
    expected = run(source, tmp_path / "cache", "serial", wanted)
    flip(objects(tmp_path / "cache"), 0)
    graph = lively(source)
    again = graph.run(cache_dir=tmp_path / "cache", outputs=wanted)
    assert {name: identity(again[name]) for name in wanted} == expected
    assert again.record.nodes["m5"].status == "computed"
    assert again.record.nodes["trail"].status == "hit"
    assert again.record.nodes["n5"].status == "hit"


def test_damage_below_a_change_is_repaired_on_the_way(tmp_path: Path) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    run(source, tmp_path / "cache", "serial")
    fresh = {**run_changed(source, tmp_path / "other")}
    flip(objects(tmp_path / "cache"), 5)
    assert run_changed(source, tmp_path / "cache") == fresh


def run_changed(source: Path, cache: Path) -> dict[str, str]:
    graph = lively(source)
    graph.nodes["end"].operator = Mean(radius=3)
    done = graph.run(cache_dir=cache, chunk=8)
    return {name: identity(done[name]) for name in graph.outputs}
