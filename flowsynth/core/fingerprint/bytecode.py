"""Code objects without their positions: what a function does when there is no source to read."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import CodeType

from blake3 import blake3

#: Bytecode means something to one version of Python only.
PYTHON = f"py{sys.version_info.major}.{sys.version_info.minor}"
_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF"})


def code_digest(code: CodeType) -> str:
    """The hash of a code object and of all that are nested in it, whatever lines they stand on."""
    hasher = blake3()
    stack: list[object] = [code]
    while stack:
        item = stack.pop()
        if isinstance(item, CodeType):
            counts = (item.co_argcount, item.co_posonlyargcount, item.co_kwonlyargcount)
            names = (item.co_names, item.co_varnames, item.co_freevars, item.co_cellvars, item.co_name)
            table = getattr(item, "co_exceptiontable", b"")
            hasher.update(f"code {counts} {names!a} {len(item.co_code)} {len(table)}".encode())
            hasher.update(item.co_code)
            hasher.update(table)
            stack.extend(item.co_consts)
        else:
            hasher.update(f"\0{type(item).__name__} {_constant(item)}".encode("utf-8", "backslashreplace"))
    return hasher.hexdigest(length=20)


def _constant(item: object) -> str:
    return repr(sorted(map(ascii, item))) if isinstance(item, frozenset) else ascii(item)


def nested_codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are nested in it."""
    stack = [code]
    while stack:
        item = stack.pop()
        yield item
        stack.extend(const for const in item.co_consts if isinstance(const, CodeType))


def global_names(code: CodeType) -> list[str]:
    """The names that a function and what is nested in it read from their module, sorted."""
    found = {
        str(step.argval)
        for inner in nested_codes(code)
        for step in dis.get_instructions(inner)
        if step.opname in _GLOBAL_READS
    }
    return sorted(found)
