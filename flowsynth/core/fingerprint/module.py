"""A module as the fingerprint sees it: its statements, and which of them make up a symbol."""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

from blake3 import blake3

from flowsynth.core.collector import collector_paused
from flowsynth.core.fingerprint.loaded import NoSource
from flowsynth.core.fingerprint.said import Outside, Said, outside, says
from flowsynth.core.fingerprint.scan import Statement, scan
from flowsynth.core.fingerprint.scopes import Target
from flowsynth.core.fingerprint.syntax import top_level

_MODULE_NAME = re.compile(r"\.*[^\W\d]\w*(\.[^\W\d]\w*)*")
_WILD = frozenset({"globals", "exec", "eval"})


class Module:
    """The statements of one source text, indexed by the names they bind, change and call on."""

    def __init__(
        self,
        statements: list[Statement],
        lazy: list[tuple[str, list[str]]],
        opaque: str = "",
        nodes: Sequence[ast.stmt] = (),
    ) -> None:
        self.statements = statements
        self.nodes = nodes
        """The syntax trees of the statements, where live values are compared with them."""
        self.opaque = opaque
        """The hash of a file that is not Python of this version, else empty."""
        self.lazy = lazy
        """Entries of dicts of strings in a module with `__getattr__`: a key and the strings of its value."""
        self.binders = self._index(s.binds - {"*"} for s in statements)
        self.mutators = self._index(s.mutates for s in statements)
        self.changers = self._index(s.changes for s in statements)
        self.pokers = self._index(s.pokes for s in statements)
        self.stars = [t for s in statements for t in s.aliases.get("*", ())]
        self.wild = [i for i, s in enumerate(statements) if s.now & _WILD]
        self._symbols: dict[str, tuple[list[int], str]] = {}
        self._said: dict[int, dict[str, Said]] = {}
        self._outside: dict[int, set[Outside]] = {}

    def said(self, name: str) -> Said | None:
        """What the source says of a name, if one statement says it all."""
        binders = self.binders.get(name, ())
        return self._says(binders[0]).get(name) if len(binders) == 1 and self.nodes else None

    def _says(self, index: int) -> dict[str, Said]:
        if index not in self._said:
            self._said[index] = says(self.nodes[index])
        return self._said[index]

    def outside(self, name: str) -> set[Outside]:
        """What the statements of a symbol read from outside of the program."""
        found: set[Outside] = set()
        for i in self.symbol(name)[0] if self.nodes else ():
            if i not in self._outside:
                self._outside[i] = outside(self.nodes[i])
            found |= self._outside[i]
        return found

    def statement_at(self, line: int) -> int | None:
        """The statement that a line belongs to."""
        for i, node in enumerate(self.nodes):
            decorators = getattr(node, "decorator_list", ())
            first = min([getattr(node, "lineno", line + 1), *(d.lineno for d in decorators)])
            if first <= line <= (getattr(node, "end_lineno", None) or first):
                return i
        return None

    @staticmethod
    def _index(names: Iterable[frozenset[str]]) -> dict[str, list[int]]:
        index: dict[str, list[int]] = defaultdict(list)
        for i, group in enumerate(names):
            for name in group:
                index[name].append(i)
        return dict(index)

    def symbol(self, name: str) -> tuple[list[int], str]:
        """The statements that make up a symbol, in their order, and the hash over them.

        These are all statements that bind it, that store into it or call a changing method on it, at import
        or inside a function; at import, the calls of functions that do so; and, for a value made at import
        that is not a plain constant, any method called on it and any call it is given to. Functions that
        merely read a symbol are not part of it, or two operators with one helper would depend on each other.
        """
        known = self._symbols.get(name)
        if known is None:
            members = sorted(self._members(name))
            known = members, self.digest(members)
            self._symbols[name] = known
        return known

    def _members(self, name: str) -> set[int]:
        members = set(self.binders.get(name, ()))
        kinds = {self.statements[i].kind for i in members}
        data = not kinds.isdisjoint({"data", "other"})
        index = self.changers if kinds == {"import"} else self.mutators
        changing = set(index.get(name, ())) - members
        members |= changing | self._calls_of_changing(changing)
        if data:
            members.update(self.pokers.get(name, ()))
        members.update(self.wild)
        return members

    def _calls_of_changing(self, changing: set[int]) -> set[int]:
        """Functions that reach a changing function, and the statements that name any of them at import."""
        found: set[int] = set()
        names = {
            n for i in changing if self.statements[i].kind == "function" for n in self.statements[i].binds
        }
        fresh = names
        while fresh:
            grown: set[str] = set()
            for i, statement in enumerate(self.statements):
                if i in found or i in changing:
                    continue
                if fresh & statement.now:
                    found.add(i)
                elif statement.kind == "function" and fresh & statement.later:
                    found.add(i)
                    grown |= statement.binds
            fresh = grown - names
            names |= fresh
        return found

    def digest(self, members: Iterable[int]) -> str:
        """The hash of some statements, in their order."""
        return blake3(b"".join(self.statements[i].digest for i in members)).hexdigest(length=20)

    def unbound(self) -> list[int]:
        """Statements that bind no name, such as calls and loops over nothing."""
        return [i for i, s in enumerate(self.statements) if not s.binds - {"*"}]


def opaque(content: bytes) -> Module:
    """A module known only by its bytes: a compiled extension, or a text this Python cannot parse."""
    return Module([], [], blake3(content).hexdigest(length=20))


def read_module(source: bytes, where: str, keep: bool = False) -> Module:
    """Parse a source file.

    Args:
        source: the bytes of the file; an encoding comment is honoured.
        where: the path, for messages.
        keep: keep the syntax trees too.

    Raises:
        NoSource: the file is nested too deeply for Python's parser.
    """
    with collector_paused(settle=False):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes are for the importer to report
                tree = ast.parse(source)
        except (SyntaxError, ValueError):  # not importable, such as one branch of a conditional import
            return opaque(source)
        except (RecursionError, MemoryError) as error:
            raise NoSource(f"{where} is nested too deeply to be parsed, so it has no fingerprint") from error
        nodes = list(top_level(tree))
        statements = [scan(node) for node in nodes]
    has_getattr = any("__getattr__" in s.binds for s in statements)
    return Module(statements, _lazy_entries(tree) if has_getattr else [], nodes=nodes if keep else ())


def _lazy_entries(tree: ast.Module) -> list[tuple[str, list[str]]]:
    """Dict entries that may say where a name lives: `{"Frames": ".frames"}` or `{".frames": ("Frames",)}`."""
    entries = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                texts = [
                    n.value
                    for n in ast.walk(value)
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ]
                entries.append((key.value, texts))
    return entries


def lazy_targets(module: Module, name: str) -> list[Target]:
    """Where a module's own table sends `module.name`, as imports: the module, and the name in it."""
    targets = []
    for key, texts in module.lazy:
        if key == name:
            places = [t for t in texts if _MODULE_NAME.fullmatch(t)]
            targets += [_target(place, other) for place in places for other in {name, *places}]
        elif name in texts and _MODULE_NAME.fullmatch(key):
            targets.append(_target(key, name))
    return targets


def _target(place: str, name: str) -> Target:
    place, colon, attr = place.partition(":")
    bare = place.lstrip(".")
    return Target(len(place) - len(bare), bare, attr if colon else name)
