"""Out of memory: told from other errors, and once more with nothing else loaded."""

from __future__ import annotations

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
