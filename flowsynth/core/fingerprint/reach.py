"""The walk from an operator class to everything its result can depend on. Static and iterative."""

from __future__ import annotations

import builtins
from typing import NamedTuple

from flowsynth.core.fingerprint.files import Finder, Located, Reader, policy_of
from flowsynth.core.fingerprint.loaded import NoSource
from flowsynth.core.fingerprint.module import Module, lazy_targets, opaque, read_module
from flowsynth.core.fingerprint.scan import Statement
from flowsynth.core.fingerprint.scopes import Chain, Target

_OWN_NAMES = frozenset({"globals", "exec", "eval"})
_LOOKED_AT = _OWN_NAMES | {"sys"}
_modules: dict[str, Module] = {}  # by content hash, for the life of the process


class Step(NamedTuple):
    """Something still to be resolved: a dotted name in a module, or the module itself for an empty chain."""

    module: str
    chain: Chain
    attribute: bool = True
    """Whether the name is read as `module.name`, so that submodules and `__getattr__` count."""


class Walk:
    """One operator's walk.

    Attributes:
        parts: `module:symbol` to the hash of that symbol's statements; `module:*` is what else a module does.
        places: every module looked for and the hash of its text, for a memo to check: (path, hash), or None
            where there was no such module.
    """

    def __init__(self, finder: Finder, reader: Reader, own: frozenset[str]) -> None:
        self.finder = finder
        self.reader = reader
        self.own = own
        self.parts: dict[str, str] = {}
        self.places: dict[str, tuple[str, str] | None] = {}
        self._open: dict[str, Module | None] = {}
        self._todo: list[Step] = []
        self._seen: set[Step] = set()
        self._statements: set[tuple[str, int]] = set()

    def reach(self, module: str, symbol: str) -> None:
        """Add a symbol, or with an empty one a whole module, and all they reach."""
        self._todo.append(Step(module, (symbol,) if symbol else ()))
        self._drain()

    def _drain(self) -> None:
        while self._todo:
            step = self._todo.pop()
            if step not in self._seen:
                self._seen.add(step)
                self._resolve(step)

    def reach_statement(self, name: str, index: int) -> None:
        """Add a statement that no name leads to, and all it mentions."""
        module = self.open(name)
        if module is None:
            return
        statement = module.statements[index]
        self.parts[f"{name}:@{statement.digest.hex()[:12]}"] = statement.digest.hex()
        self._statement(name, index, statement)
        self._drain()

    def open(self, name: str) -> Module | None:
        """The module of that name if it is one the fingerprint reads."""
        if name not in self._open:
            self._open[name] = self._load(name)
        return self._open[name]

    def _load(self, name: str) -> Module | None:
        top = name.partition(".")[0]
        if policy_of(name, self.own) == "stop" or (
            top not in self.own
            and top != "flowsynth"
            and self.finder.find(top)
            and self.finder.is_library(top)
        ):
            return None
        place = self.finder.find(name)
        if place is None:
            self.places[name] = None
            return None
        return self._parse(name, place) if place.path else Module([], [])

    def _parse(self, name: str, place: Located) -> Module:
        try:
            digest, source = self.reader.read(place.path, name)
        except OSError as error:
            raise NoSource(
                f"{place.path} cannot be read, so what uses it has no fingerprint: {error}"
            ) from error
        self.places[name] = (place.path, digest)
        module = _modules.get(digest)
        keep = not name.startswith("flowsynth.")
        if module is None or (keep and module.statements and not module.nodes):
            compiled = not place.path.endswith(".py")
            module = opaque(source) if compiled else read_module(source, place.path, keep)
            _modules[digest] = module
        return module

    def _resolve(self, step: Step) -> None:
        module = self.open(step.module)
        if module is None:
            return
        if module.opaque:
            self.parts[f"{step.module}:*"] = module.opaque
        elif not step.chain:
            self._escape(step.module, module)
        elif step.chain[0] in module.binders:
            self._symbol(step, module)
        else:
            self._unbound(step, module)

    def _symbol(self, step: Step, module: Module) -> None:
        name, rest = step.chain[0], step.chain[1:]
        members, digest = module.symbol(name)
        through = policy_of(step.module, self.own) == "through"
        if not through:
            self.parts[f"{step.module}:{name}"] = digest
        for i in members:
            statement = module.statements[i]
            for target in statement.aliases.get(name, ()):
                self._follow(step.module, target, rest)
            if not through:
                self._statement(step.module, i, statement, name)

    def _statement(self, where: str, index: int, statement: Statement, via: str = "") -> None:
        """Everything a statement mentions; and what it defines, if it came in by changing another symbol."""
        if (where, index) in self._statements:
            return
        self._statements.add((where, index))
        if statement.kind in {"function", "class"} and via not in statement.binds:
            self._todo.extend(Step(where, (name,), False) for name in statement.binds)
        module = self._open[where]
        # Most names that a module does not bind are Python's own, and lead nowhere.
        bound = module.binders if module and not (module.stars or module.wild) else None
        for chain in statement.chains:
            if bound is not None and chain[0] not in bound and chain[0] not in _LOOKED_AT:
                continue
            if chain[0] in _OWN_NAMES or chain[:2] == ("sys", "modules"):
                self._todo.append(Step(where, ()))
            self._todo.append(Step(where, chain, False))
        for target, rest in statement.targets:
            self._follow(where, target, rest)

    def _follow(self, where: str, target: Target, rest: Chain) -> None:
        module = self.absolute(where, target)
        if module:
            self._todo.append(Step(module, (target.name, *rest) if target.name else rest))

    def absolute(self, where: str, target: Target) -> str:
        """The dotted name of an import's module, seen from another module."""
        if not target.level:
            return target.module
        place = self.finder.find(where)
        parts = where.split(".")
        drop = target.level - (1 if place is not None and place.folders else 0)
        base = parts[: len(parts) - drop] if drop else parts
        return ".".join([*base, target.module] if target.module else base)

    def _unbound(self, step: Step, module: Module) -> None:
        """A name that no statement of the module binds by itself."""
        name = step.chain[0]
        for star in module.stars:
            inner = self.absolute(step.module, star._replace(name=""))
            self._todo.append(Step(inner, step.chain, False))
        if not step.attribute:
            if module.wild and not hasattr(builtins, name):
                self._todo.append(Step(step.module, ()))
            return
        if name == "__dict__":
            self._todo.append(Step(step.module, ()))
        below = f"{step.module}.{name}"
        if self._is_package(step.module) and self.open(below) is not None:
            self._todo.append(Step(below, step.chain[1:]))
        elif "__getattr__" in module.binders:
            self._lazy(step, module)

    def _is_package(self, name: str) -> bool:
        place = self.finder.find(name)
        return place is not None and bool(place.folders)

    def _lazy(self, step: Step, module: Module) -> None:
        """A name that the module's `__getattr__` makes: by its table, or the module escapes."""
        targets = lazy_targets(module, step.chain[0])
        for target in targets:
            self._follow(step.module, target, step.chain[1:])
        if policy_of(step.module, self.own) == "through":
            return
        self._todo.append(Step(step.module, ("__getattr__",), False) if targets else Step(step.module, ()))

    def _escape(self, name: str, module: Module) -> None:
        """A module that is passed around or read by computed names: all of its symbols."""
        if policy_of(name, self.own) == "through":
            return
        for symbol, members in module.binders.items():
            targets = [t for i in members for t in module.statements[i].aliases.get(symbol, ())]
            if not targets or any(self._is_own_child(name, target) for target in targets):
                self._todo.append(Step(name, (symbol,), False))
            else:
                self._imported(name, symbol, module, targets)
        for star in module.stars:
            self._todo.append(Step(self.absolute(name, star._replace(name="")), ()))
        loose = module.unbound()
        if loose:
            self.parts[f"{name}:*"] = module.digest(loose)
        for i in loose:
            self._statement(name, i, module.statements[i])

    def _imported(self, name: str, symbol: str, module: Module, targets: list[Target]) -> None:
        """A name that an escaped module imports: followed unless it is another module."""
        self.parts[f"{name}:{symbol}"] = module.symbol(symbol)[1]
        for target in targets:
            inner = self.absolute(name, target)
            opened = self.open(inner)
            if target.name and opened is not None and (target.name in opened.binders or opened.stars):
                self._todo.append(Step(inner, (target.name,)))

    def _is_own_child(self, name: str, target: Target) -> bool:
        inner = self.absolute(name, target)
        return bool(target.name) and f"{inner}.{target.name}".startswith(name + ".")
