"""How long values wait on the shelf: until nobody is left to read them."""

from __future__ import annotations

from flowsynth.executors.shelf import Shelf
from flowsynth.executors.tasks import Role, Task


class Holding:
    """Counts who is yet to read what tasks gave. Not locked: the scheduler does that.

    Args:
        shelf: holds the values.

    Attributes:
        peak_alive: most tasks whose values were in memory at once.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.peak_alive = 0
        self._alive = 0

    def take(self, task: Task) -> None:
        """A task's values were put on the shelf."""
        self._alive += not task.spooled
        self.drop_if_idle(task)
        self.peak_alive = max(self.peak_alive, self._alive)

    def has(self, task: Task) -> bool:
        """Whether all that a task holds can be had."""
        return self.shelf.has(task.held)

    def release(self, task: Task) -> None:
        """A task is over: what it read may be dropped when nobody else needs it."""
        for dep in () if task.counted else task.deps:
            dep.users -= 1
            dep.soon -= task.follows(dep)
            self.drop_if_idle(dep)
        for dep in task.extra:
            dep.users -= 1
            dep.soon -= 1
            self.drop_if_idle(dep)
        if task.extra:
            task.extra = []

    def drop_if_idle(self, task: Task) -> None:
        """Let go of what nobody needs in memory any more."""
        if task.role is Role.END:
            if task.users <= 0 and not task.counted:
                self.release(task)
                task.counted = True
        elif task.held and task.idle:
            self.drop(task)

    def drop(self, task: Task) -> None:
        """Let go of a task's values."""
        self.shelf.drop(task.held)
        task.held = ()
        self._alive -= not task.spooled
