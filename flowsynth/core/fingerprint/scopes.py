"""Which names of a statement are its module's, and which are local to a function, class or comprehension.

The rules are Python's own (language reference, section 4.2.2 "Resolution of names"), with one deviation on
the safe side: a name read in a class body always counts as the module's too.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Chain: TypeAlias = tuple[str, ...]
"""A dotted name as it stands in the source: `m.f.x` is ("m", "f", "x")."""

Kind: TypeAlias = Literal["module", "function", "class", "comprehension"]


class Target(NamedTuple):
    """What an import binds: `from .pkg import name` is (1, "pkg", "name"); a whole module has no name."""

    level: int
    module: str
    name: str = ""


class Scope:
    """One scope of a statement and what happens to names in it."""

    __slots__ = (
        "called",
        "deferred",
        "globals",
        "imports",
        "kind",
        "loads",
        "names",
        "nonlocals",
        "parent",
        "poked",
        "stored",
    )

    def __init__(self, kind: Kind, parent: Scope | None = None) -> None:
        self.kind = kind
        self.parent = parent
        self.deferred: bool = kind == "function" or (parent is not None and parent.deferred)
        self.names: set[str] = set()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.imports: dict[str, list[Target]] = {}
        self.loads: set[Chain] = set()
        self.stored: set[str] = set()  # roots of stores into attributes or items
        self.called: set[str] = set()  # roots of calls such as `x.append(...)`
        self.poked: set[str] = set()  # at import: roots of any method call, plain arguments of any call

    def walrus_scope(self) -> Scope:
        """The scope that `:=` binds in: the one around all comprehensions."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def bind_import(self, name: str, target: Target) -> None:
        """An import statement of this scope binds the name."""
        self.names.add(name)
        self.imports.setdefault(name, []).append(target)

    def lookup(self, name: str) -> list[Target] | None:
        """Where a name read in this scope leads.

        Returns:
            None for a name of the module, import targets for a function's own import, [] for a local.
        """
        scope: Scope | None = self
        while scope is not None and scope.kind != "module":
            if name in scope.globals:
                return None
            if scope.kind == "class":
                if scope is self and name in scope.imports:
                    return scope.imports[name]
            elif name in scope.names and name not in scope.nonlocals:
                return scope.imports.get(name, [])
            scope = scope.parent
        return None
