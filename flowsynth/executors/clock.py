"""When and where a step was worked on, how long its tasks waited, what hits saved, what memory it took."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field

#: Stretches of work kept for a device of a step: where there are more, the closest ones become one.
MOST_STRETCHES = 48


@dataclass(slots=True)
class Clock:
    """What is measured of a step; times are those of `time.monotonic`. Safe for threads.

    Attributes:
        waited: seconds that its tasks were ready and nobody worked on them, summed.
        saved: seconds that those of its tasks took, when they were computed, that are hits now.
        peak_bytes: most memory that was seen in use while it computed.
        busy: device -> (from, to) of the stretches in which it was worked on, in order.
    """

    waited: float = 0.0
    saved: float = 0.0
    peak_bytes: int = 0
    busy: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def worked(self, device: str, ready: float, start: float, end: float, peak_bytes: int) -> None:
        """Add a task.

        Args:
            device: where it was carried out.
            ready: when it could have begun; 0 if that is not known.
            start: when it began.
            end: when it was over.
            peak_bytes: most memory in use meanwhile.
        """
        with self._lock:
            self.waited += max(start - ready, 0.0) if ready else 0.0
            self.peak_bytes = max(self.peak_bytes, peak_bytes)
            stretches = self.busy.setdefault(device, [])
            stretches.append((start, end))
            if len(stretches) > 2 * MOST_STRETCHES:
                self.busy[device] = joined(stretches, MOST_STRETCHES)

    def save(self, seconds: float) -> None:
        """Add what a hit saved."""
        with self._lock:
            self.saved += seconds

    def since(self, began: float) -> dict[str, list[tuple[float, float]]]:
        """The stretches in seconds after some time, to the millisecond."""
        with self._lock:
            found = {device: joined(stretches, MOST_STRETCHES) for device, stretches in self.busy.items()}
        return {
            device: [(round(max(a - began, 0.0), 3), round(max(b - began, 0.0), 3)) for a, b in stretches]
            for device, stretches in found.items()
        }


def joined(stretches: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Stretches that overlap as one, and so many of them at most: the smallest gaps are closed.

    Args:
        stretches: in any order.
        most: how many may be left.
    """
    found: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    gaps = sorted(b[0] - a[1] for a, b in itertools.pairwise(found))
    widest = gaps[len(found) - most - 1] if len(found) > most else -1.0
    kept: list[tuple[float, float]] = []
    for start, end in found:
        if kept and start - kept[-1][1] <= widest:
            kept[-1] = kept[-1][0], end
        else:
            kept.append((start, end))
    return kept
