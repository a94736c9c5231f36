"""Reading YAML as data only: strings, numbers, booleans, nulls, lists and mappings, with strict limits.

YAML 1.2's core schema, so ``on``, ``12:30`` and ``2024-01-01`` are strings and ``010`` is ten. Keys become
strings, as in JSON. Tags, duplicate keys and documents that unfold to far more than their text are refused.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from flowsynth.core.errors import Fault, GraphError, InputError

MAX_DEPTH = 50
#: Values that aliases may add to a document, all together.
MAX_ALIASED = 10_000
MAX_BYTES = 64 * 2**20

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
#: Keys by which other programs' YAML names code to call; nothing here does.
CODE_KEYS = frozenset({"_target_", "_partial_", "_call_"})


def load_yaml(text: str, where: str) -> Any:
    """The value of a YAML document; None of an empty one.

    Args:
        text: the document.
        where: its name in messages, usually the path of its file.

    Raises:
        GraphError: a syntax error, a duplicate key, a tag, a `_target_`, or a document over the limits; the
            fault's path is ``where:line``.
    """
    return _Reader(where).read(text)


def read_yaml(path: Path) -> Any:
    """The value of a YAML file.

    Raises:
        InputError: no such file, or not UTF-8 text.
        GraphError: as `load_yaml`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path}: expected at most {MAX_BYTES} bytes of YAML; given {path.stat().st_size}"
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text in UTF-8; expected YAML; given {error.reason}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read; {error.strerror}") from None
    return load_yaml(text, str(path))


def scalar(text: str) -> bool | int | float | str | None:
    """The value of an unquoted YAML scalar."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    first = text[0]
    if first.isdigit() or first in "+-.":
        if _INT.fullmatch(text):
            return _integer(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _SPECIAL.fullmatch(text):
            return float(text.lower().replace(".", ""))
    return text


def _integer(text: str) -> int | str:
    # Python refuses to convert absurdly long digits; such a text is no number anybody meant.
    return int(text) if len(text) < 100 else text


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end has not come yet."""

    value: Any
    anchor: str | None
    key: str | None = None
    merges: list[Any] = field(default_factory=list)


class _Reader:
    """Builds a value from a parser's events, without recursion."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[_Open] = []
        self.anchors: dict[str, Any] = {}
        self.aliased = 0
        self.result: Any = None
        self.done = False

    def read(self, text: str) -> Any:
        for event in self._events(text):
            kind = type(event).__name__
            line = event.start_mark.line + 1
            if kind == "ScalarEvent":
                self._tagless(event, line)
                self._add(scalar(event.value) if event.implicit[0] else event.value, event, line)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._open(event, {} if kind == "MappingStartEvent" else [], line)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._close(line)
            elif kind == "AliasEvent":
                self._place(self._alias(event.anchor, line), line)
            elif kind == "DocumentStartEvent" and self.done:
                self._fail(line, "a second document", expected="one YAML document")
        return self.result

    def _events(self, text: str) -> Iterator[Any]:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yield from yaml.parse(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            self._fail(line, f"not YAML: {error.problem}", given=_line_of(text, line))
        except UnicodeEncodeError as error:  # half of a character, which no file in UTF-8 holds
            line = text.count("\n", 0, error.start) + 1
            self._fail(line, "no text", "characters of Unicode", repr(text[error.start]))
        except yaml.YAMLError as error:
            self._fail(1, f"not YAML: {error}".partition("\n")[0])

    def _add(self, value: Any, event: Any, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.value, dict) and top.key is None:
            self._key(top, event.value, line)
            return
        if event.anchor:
            self.anchors[event.anchor] = value
        self._place(value, line)

    def _key(self, top: _Open, key: str, line: int) -> None:
        if key in CODE_KEYS:
            self._fail(line, "code in YAML", expected="an operator's name under 'op'", given=key)
        if key in top.value:
            self._fail(line, f"duplicate key {key!r}", expected="every key once")
        top.key = key

    def _open(self, event: Any, value: Any, line: int) -> None:
        self._tagless(event, line)
        if len(self.stack) >= MAX_DEPTH:
            self._fail(line, "nested too deeply", expected=f"at most {MAX_DEPTH} levels")
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self._fail(line, "a mapping or a list as a key", expected="a name")
        self.stack.append(_Open(value, event.anchor))

    def _close(self, line: int) -> None:
        closed = self.stack.pop()
        for merged in closed.merges:
            closed.value = {**merged, **closed.value}
        if closed.anchor:
            self.anchors[closed.anchor] = closed.value
        self._place(closed.value, line)

    def _place(self, value: Any, line: int) -> None:
        if not self.stack:
            self.result, self.done = value, True
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            self._fail(line, "an alias as a key", expected="a name")
        elif top.key == "<<":
            top.merges.extend(self._merged(value, line))
            top.key = None
        else:
            top.value[top.key] = value
            top.key = None

    def _merged(self, value: Any, line: int) -> list[dict[str, Any]]:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            self._fail(line, "'<<' without a mapping", expected="a mapping or a list of mappings")
        return parts

    def _alias(self, name: str, line: int) -> Any:
        if name not in self.anchors:
            self._fail(line, f"unknown alias *{name}", expected=f"an anchor &{name} above")
        value = self.anchors[name]
        self.aliased += _size(value)
        if self.aliased > MAX_ALIASED:
            self._fail(line, "aliases unfold too far", expected=f"at most {MAX_ALIASED} values from aliases")
        return copy.deepcopy(value)

    def _tagless(self, event: Any, line: int) -> None:
        if event.tag is not None:
            self._fail(line, "a tag in YAML", expected="plain values", given=event.tag)

    def _fail(self, line: int, message: str, expected: str = "", given: str = "") -> NoReturn:
        raise GraphError([Fault(f"{self.where}:{line}", message, expected, given)], "YAML") from None


def _size(value: Any) -> int:
    count, todo = 0, [value]
    while todo:
        item = todo.pop()
        count += 1
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return count


def _line_of(text: str, line: int) -> str:
    lines = text.splitlines()
    return repr(lines[line - 1].strip()[:80]) if 0 < line <= len(lines) else ""
