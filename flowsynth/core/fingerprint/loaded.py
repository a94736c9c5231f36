"""Whether the text of a file is what the process runs, or was saved after it was imported."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from flowsynth.core.fingerprint.bytecode import code_digest, nested_codes

_IMPORTED, _PROCESS = time.time_ns(), os.getpid()
#: How exactly the start of a process is known, with room to spare.
_SLACK_NS = 100_000_000


class NoSource(Exception):  # noqa: N818 - the name states a fact about the class, which the engine acts on
    """A class has no source to fingerprint: a REPL, an `exec`, or a class made by code."""


class SavedLater(NoSource):
    """A file was saved after the process imported it, so its text is not what runs."""


@cache
def process_start() -> int:
    """When this process (or the one that it was forked from) began, in nanoseconds since 1970.

    Where the system does not tell, when flowsynth was imported.
    """
    try:
        ticks = int(Path(f"/proc/{_PROCESS}/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        began = time.time_ns() - int((uptime - ticks / os.sysconf("SC_CLK_TCK")) * 1e9)
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    return min(began, _IMPORTED)


def is_loaded_text(module: ModuleType, path: str, text: bytes) -> bool:
    """Whether a module that is loaded was made from this text of its file.

    A file that was last changed before the process began was; of any other one the functions of the module
    are looked for in the compiled text.

    Args:
        module: the loaded module.
        path: its file.
        text: what the file holds now.
    """
    if os.stat(path).st_ctime_ns < process_start() - _SLACK_NS:  # noqa: PTH116 - often
        return True
    try:
        whole = compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    written = {code_digest(code) for code in nested_codes(whole)}
    return all(code_digest(code) in written for code in _codes(module, path))


def _codes(module: ModuleType, path: str) -> Iterator[CodeType]:
    """The code of a module's functions and of its classes' methods, as far as it was read from the file."""
    stack: list[object] = list(vars(module).values())
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, FunctionType):
            if item.__code__.co_filename == path:
                yield item.__code__
            stack.append(item.__dict__.get("__wrapped__"))
        elif isinstance(item, type):
            if item.__module__ == module.__name__:
                stack.extend(vars(item).values())
        elif isinstance(item, (staticmethod, classmethod)):
            stack.append(item.__func__)
        elif isinstance(item, property):
            stack += [item.fget, item.fset]
