"""The collector rests while much is made, and finds garbage afterwards all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from flowsynth.core.collector import collector_paused


class Ring:
    """Refers to itself, so that only the collector finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def on() -> Iterator[None]:
    gc.collect()
    gc.enable()
    yield
    gc.enable()


@pytest.mark.parametrize("count", [10, 50_000])
def test_nothing_is_looked_through_inside(count: int) -> None:
    looks: list[str] = []
    hear = lambda phase, info: looks.append(phase)  # noqa: E731
    gc.callbacks.append(hear)
    try:
        with collector_paused():
            made = [[i] for i in range(count)]
            assert not gc.isenabled()
            assert not looks
    finally:
        gc.callbacks.remove(hear)
    assert gc.isenabled()
    assert len(made) == count


def test_what_many_were_made_of_counts_as_old() -> None:
    with collector_paused():
        made = [[i] for i in range(50_000)]
    old = {id(item) for item in gc.get_objects(generation=2)}
    assert {id(item) for item in made} <= old
    assert gc.get_freeze_count() == 0, "nothing is kept from the collector for good"


@pytest.mark.parametrize("count", [10, 50_000])
def test_garbage_is_found_afterwards(count: int) -> None:
    with collector_paused():
        rings = [Ring() for _ in range(count)]
    gone = weakref.ref(rings[0])
    del rings
    gc.collect()
    assert gone() is None


def test_what_a_program_asked_for_stays() -> None:
    gc.freeze()
    try:
        apart = gc.get_freeze_count()
        with collector_paused():
            made = [[i] for i in range(50_000)]
        assert gc.get_freeze_count() >= apart // 2
        gc.disable()
        with collector_paused():
            made += [[0]]
        assert not gc.isenabled()
    finally:
        gc.unfreeze()
