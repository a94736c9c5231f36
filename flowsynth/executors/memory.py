"""Memory: running out of it told from other errors, and how much of it was in use."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flowsynth.core.devices import torch_name
from flowsynth.core.errors import DeviceMemoryError

#: What libraries say of it that have no error of their own for it.
_SAID = ("out of memory", "can't allocate memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no room left."""
    if isinstance(error, (MemoryError, DeviceMemoryError)):
        return True
    name = type(error).__name__
    return isinstance(error, RuntimeError) and (
        name == "OutOfMemoryError" or any(text in str(error).lower() for text in _SAID)
    )


class Peak:
    """Most memory in use from when it was made: what torch has of a CUDA device; else what this process has.

    Of the process it is what the system has seen at most, if that has grown meanwhile, or what it has at the
    end. Asking costs as much as a small task does: of one that is over at once the last answer is told.

    Args:
        device: the logical device that computes.
    """

    def __init__(self, device: str) -> None:
        self._cuda = torch_name(device) if torch_name(device).startswith("cuda") else ""
        if self._cuda:
            import torch

            with suppress(RuntimeError):  # nothing was ever put there
                torch.cuda.reset_peak_memory_stats(self._cuda)
        self._begun = time.perf_counter()
        self._before = 0 if self._cuda else _lately(peak_rss)

    def settle(self) -> None:
        """Wait until the device has done what it was asked to: before, no time says what that took."""
        if self._cuda:
            import torch

            with suppress(RuntimeError):
                torch.cuda.synchronize(self._cuda)

    def nbytes(self) -> int:
        """The bytes so far."""
        if self._cuda:
            import torch

            return int(torch.cuda.max_memory_allocated(self._cuda))
        if time.perf_counter() - self._begun < _BRIEF:
            return _lately(resident)
        now = peak_rss()
        return now if now > self._before else resident()


#: Seconds in which nothing large is made.
_BRIEF = 0.005
_answers: dict[Callable[[], int], tuple[float, int]] = {}


def _lately(ask: Callable[[], int]) -> int:
    """What was answered a moment ago, or is now."""
    now = time.perf_counter()
    at, answer = _answers.get(ask, (float("-inf"), 0))
    if now - at >= _BRIEF:
        answer = ask()
        _answers[ask] = now, answer
    return answer


def peak_rss() -> int:
    """Largest resident size of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process(os.getpid()).memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def resident() -> int:
    """Resident size of this process now, in bytes."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)
