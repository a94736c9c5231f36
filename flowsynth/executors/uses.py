"""Who reads what a task gives, and so whether it goes to disk."""

from __future__ import annotations

from flowsynth.core.options import Keep
from flowsynth.core.streams import Fold, Whole
from flowsynth.executors.tasks import Role, StepRun, Task

#: What the run's choice means for a node.
_POLICIES: dict[Keep, str] = {"costly": "auto", "all": "always", "outputs": "never"}


def keep_policy(task: Task, keep: Keep) -> str:
    """Whether what a task gives is stored: ``always``, ``never``, or ``auto``, where that pays.

    Args:
        task: the task.
        keep: what the run keeps of nodes that leave it to the run.
    """
    step = task.run.step
    if step.wanted or step.operator.spending() is not None:
        return "always"
    return _POLICIES[keep] if step.node.cache == "auto" else step.node.cache


def owed(task: Task) -> float:
    """Seconds that it would cost to make what a task reads again, as far as that is not kept.

    What several tasks of a step read counts for each of them in part, about: a stream's chunks by their mean,
    what all read by its share.
    """
    owing = [other for other in task.deps if other.owed]
    if not owing:
        return 0.0
    total = 0.0
    for other in owing:
        if task.role is Role.CHUNK and other.role is Role.CHUNK:
            total += other.owed / sum(dep.run is other.run for dep in task.deps)
        else:
            total += other.owed / len(task.run.tasks)
    return total


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
