"""Who reads what a task gives, and so whether it goes to disk."""

from __future__ import annotations

from flowsynth.core.streams import Fold, Whole
from flowsynth.executors.tasks import Role, StepRun, Task


def keep_policy(task: Task) -> str:
    """Whether what a task gives is stored: ``always``, ``never``, or ``auto``, where that pays."""
    step = task.run.step
    if step.node.cache == "always" or step.wanted or needed_whole(task):
        return "always"
    return step.node.cache


def comes_late(task: Task) -> bool:
    """Whether what a task gives waits long for a reader, so that it must not wait in memory."""
    return task.role is Role.SEGMENT or bool(task.run.step.wanted) or needed_whole(task)


def needed_whole(task: Task) -> bool:
    """Whether some reader of a chunk needs many chunks at once, or only later, so that it is spooled."""
    run = task.run
    if task.role is not Role.CHUNK:
        return False
    return run.unread > 0 or any(reads_all(r, run) or r.comes_late_for(run) for r in run.readers())


def reads_all(reader: StepRun, run: StepRun) -> bool:
    """Whether a step needs all of another's stream at once."""
    return isinstance(reader.step.kind, (Whole, Fold)) or reader.reads_whole(run)
