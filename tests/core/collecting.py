"""What is asked of the resting collector: in an interpreter of its own, with little to look through."""

from __future__ import annotations

import gc
import weakref

from flowsynth.core.collector import collector_paused

FEW, MANY = 10, 50_000


class Ring:
    """Refers to itself, so that only the collector finds it."""

    def __init__(self) -> None:
        self.itself = self


def nothing_is_looked_through_inside() -> None:
    for count in (FEW, MANY):
        looks: list[str] = []
        hear = lambda phase, info, looks=looks: looks.append(phase)  # noqa: E731
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


def what_many_were_made_of_counts_as_old() -> None:
    with collector_paused():
        made = [[i] for i in range(MANY)]
    old = {id(item) for item in gc.get_objects(generation=2)}
    assert {id(item) for item in made} <= old
    assert gc.get_freeze_count() == 0, "nothing is kept from the collector for good"


def garbage_is_found_afterwards() -> None:
    for count in (FEW, MANY):
        with collector_paused():
            rings = [Ring() for _ in range(count)]
        gone = weakref.ref(rings[0])
        del rings
        gc.collect()
        assert gone() is None


def what_a_program_keeps_apart_stays_apart() -> None:
    gc.freeze()
    apart = gc.get_freeze_count()
    with collector_paused():
        made = [[i] for i in range(MANY)]
    assert gc.get_freeze_count() >= apart // 2
    gc.disable()
    with collector_paused():
        made += [[0]]
    assert not gc.isenabled()


def one_thread_does_not_end_another_s_pause() -> None:
    first, second = collector_paused(), collector_paused()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled(), "the second still makes what lives on"
    second.__exit__(None, None, None)
    assert gc.isenabled()


def many_threads_leave_it_as_it_was() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def pause(_: int) -> None:
        for _ in range(2000):
            with collector_paused(settle=False):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pause, range(8)))
    assert gc.isenabled()
