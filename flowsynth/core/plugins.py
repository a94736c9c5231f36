"""What other distributions add by entry points: found by name, alone in it, and loaded or refused by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from flowsynth.core.errors import RequestError


@cache
def entry_points_of(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Entry points of a group by name; several distributions may claim one."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=group):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def distribution_of(point: EntryPoint) -> str:
    """The distribution that an entry point is from, or its module where that is not known."""
    return point.dist.name if point.dist else point.module


@dataclass(frozen=True)
class Plugins:
    """Things of one kind that graphs name and other distributions may add.

    Attributes:
        kind: what messages call one of them.
        group: the entry points' group.
        error: what is raised of one that cannot be used.
    """

    kind: str
    group: str
    error: type[RequestError] = RequestError

    def names(self) -> Collection[str]:
        """Names that distributions have claimed."""
        return entry_points_of(self.group).keys()

    def find(self, name: str, shipped: Collection[str]) -> EntryPoint | None:
        """The plug-in of a name; None if it is one of ours or nobody's.

        Raises:
            RequestError: one of ours and a plug-in's, or several plug-ins'.
        """
        points = entry_points_of(self.group).get(name, ())
        if name in shipped:
            self._require_alone(name, points, "shipped with flowsynth")
            return None
        if not points:
            return None
        self._require_alone(name, points[1:], f"the one of {_origin(points[0])}")
        return points[0]

    def load(self, point: EntryPoint) -> object:
        """What an entry point names.

        Raises:
            RequestError: whatever the plug-in's own code raises.
        """
        try:
            return point.load()
        except (Exception, SystemExit) as error:
            raise self.broken(point, f"cannot be loaded ({first_line(error)})") from error

    def broken(self, point: EntryPoint, why: str) -> RequestError:
        """The error that names a plug-in and says why it cannot be used."""
        return self.error(f"{self.kind} {point.name!r} of {_origin(point)} {why}")

    def require_named(self, point: EntryPoint, own: str) -> None:
        """See that a plug-in calls itself what its entry point calls it.

        Raises:
            RequestError: it does not.
        """
        if own != point.name:
            raise self.broken(point, f"calls itself {own!r}; expected one name")

    def _require_alone(self, name: str, others: Collection[EntryPoint], first: str) -> None:
        for other in others:
            raise self.error(
                f"{self.kind} {name!r} is {first}, and {_origin(other)} takes its name;"
                f" expected another name in its entry point {self.group!r}"
            )


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its text."""
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _origin(point: EntryPoint) -> str:
    return f"the plug-in {point.dist.name if point.dist else point.value!r} ({point.value})"
