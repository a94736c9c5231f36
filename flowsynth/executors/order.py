"""The order of tasks: one depth-first post-order from the last chunks downstream.

Running in this order keeps few chunks alive whatever the length of the video: a chunk is carried as far
downstream as it goes before the next one is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowsynth.executors.tasks import Task


def _share(task: Task) -> float:
    """How far along its stream a task lies, in [0, 1): sinks and inputs interleave by this."""
    return task.span.start / max(1, task.span.total) if task.span is not None else 0.0


def assign_positions(tasks: Iterable[Task], first: int) -> list[Task]:
    """Number new tasks from `first` on; returns them in that order. Iterative, linear.

    Args:
        tasks: tasks without a position; what they depend on has one already, or is among them.
        first: the first free position.
    """
    fresh = list(tasks)
    inside = set(map(id, fresh))
    sinks = [t for t in fresh if not any(id(d) in inside for d in t.dependents)]
    order: list[Task] = []
    stack = sorted(sinks, key=_share)[::-1]
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
