"""The order of tasks: one depth-first post-order from the last chunks downstream.

Running in this order keeps few chunks alive whatever the length of the video: a chunk is carried as far
downstream as it goes before the next one is read. Where several outputs read one stream, their last chunks
take turns by how far along they lie, so that no output runs through the whole clip before the next begins.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowsynth.executors.tasks import Role, Task


def _share(task: Task) -> float:
    """How far along its stream a task lies, in [0, 1): inputs interleave by this."""
    return task.span.start / max(1, task.span.total) if task.span is not None else 0.0


def _end(task: Task) -> tuple[float, bool]:
    """How far along its stream a task ends, in (0, 1]; a segment comes after the chunks that it reads."""
    span = task.span
    return (span.stop / max(1, span.total) if span is not None else 1.0), task.role is not Role.CHUNK


def _roots(fresh: list[Task], inside: set[int]) -> list[Task]:
    """Where to begin: chunks that no chunk reads, and segments, in turns; then what nobody reads at all."""

    def is_last(task: Task) -> bool:
        return not any(d.role is Role.CHUNK and id(d) in inside for d in task.dependents)

    parts = [t for t in fresh if t.role is Role.SEGMENT or (t.role is Role.CHUNK and is_last(t))]
    sinks = [task for task in fresh if not any(id(d) in inside for d in task.dependents)]
    return [*sorted(parts, key=_end), *sorted(sinks, key=_share)]


def assign_positions(tasks: Iterable[Task], first: int) -> list[Task]:
    """Number new tasks from `first` on; returns them in that order. Iterative, linear.

    Args:
        tasks: tasks without a position; what they depend on has one already, or is among them.
        first: the first free position.
    """
    fresh = list(tasks)
    inside = set(map(id, fresh))
    order: list[Task] = []
    stack = _roots(fresh, inside)[::-1]
    opened: set[int] = set()
    while stack:
        task = stack[-1]
        if id(task) not in opened:
            opened.add(id(task))
            below = [d for d in task.deps if id(d) in inside and id(d) not in opened]
            stack.extend(sorted(below, key=_share)[::-1] if len(below) > 1 else below)
        else:
            stack.pop()
            if task.position < 0:
                task.position = first + len(order)
                order.append(task)
    return order
