"""One walk over a top-level statement: its digest, what it binds, and what it mentions. Iterative."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from blake3 import blake3

from flowsynth.core.fingerprint.scopes import Chain, Scope, Target
from flowsynth.core.fingerprint.syntax import MUTATORS, clean_body, fields_of, is_constant, root_name

StatementKind: TypeAlias = Literal["function", "class", "import", "constant", "data", "other"]

_KINDS: dict[type[ast.stmt], StatementKind] = {
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
    ast.ClassDef: "class",
    ast.Import: "import",
    ast.ImportFrom: "import",
}
#: Nodes that are their name and nothing else: operators.
_BARE = {
    cls: cls.__name__
    for base in (ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
    for cls in base.__subclasses__()
}
_BODIES = frozenset({"body", "orelse", "finalbody"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A top-level statement as the fingerprint sees it."""

    kind: StatementKind
    digest: bytes
    binds: frozenset[str]
    now: frozenset[str]
    """Module-level names read when the module is imported (decorators, defaults and bases included)."""
    later: frozenset[str]
    """Module-level names read inside function bodies."""
    mutates: frozenset[str]
    """Names that it changes, if they are values: by a store below them or by a changing method."""
    changes: frozenset[str]
    """Those that it changes even if they are modules, where `torch.sort(x)` is no method."""
    pokes: frozenset[str]
    """Names on which any method is called at import, and those given to a call."""
    chains: tuple[Chain, ...]
    """Dotted names that start at a module-level name."""
    targets: tuple[tuple[Target, Chain], ...]
    """Imports made inside functions and classes, with the attributes that are read of them."""
    aliases: dict[str, list[Target]]
    """Imports that bind module-level names."""


def scan(node: ast.stmt) -> Statement:
    """Read one top-level statement."""
    walk = _Scan(node)
    walk.run()
    return walk.statement(_kind(node))


def _kind(node: ast.stmt) -> StatementKind:
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return "constant" if is_constant(node.value) else "data"
    return _KINDS.get(type(node), "other")


class _Scan:
    """The state of one walk: tokens so far, nodes to visit, scopes met."""

    def __init__(self, node: ast.stmt) -> None:
        self.module = Scope("module")
        self.scopes = [self.module]
        self.tokens: list[str] = []
        self.stack: list[tuple[Any, Scope]] = [(node, self.module)]
        self.targets: set[tuple[Target, Chain]] = set()

    def run(self) -> None:
        """Visit every node once, parents first; the tokens are a prefix code of the tree."""
        stack, tokens = self.stack, self.tokens
        while stack:
            node, scope = stack.pop()
            kind = type(node)
            if kind is ast.Name:
                tokens.append("$" + node.id)
                if type(node.ctx) is ast.Load:
                    scope.loads.add((node.id,))
                else:
                    scope.names.add(node.id)
            elif kind is ast.Constant:
                tokens.append(_constant(node.value))
            elif kind in _BARE:
                tokens.append(_BARE[kind])
            elif node is None:
                tokens.append("-")
            elif kind is str:
                tokens.append(node)
            else:
                handler = _HANDLERS.get(kind)
                if handler is None:
                    self.visit(node, scope)
                else:
                    handler(self, node, scope)

    def scope(self, kind: Literal["function", "class", "comprehension"], parent: Scope) -> Scope:
        """Open a scope."""
        inner = Scope(kind, parent)
        self.scopes.append(inner)
        return inner

    def visit(self, node: ast.AST, scope: Scope, inner: dict[str, Scope] | None = None) -> None:
        """Emit a node and push its children; `inner` gives the fields that live in another scope."""
        cls = type(node)
        tokens = self.tokens
        tokens.append(cls.__name__)
        children: list[tuple[Any, Scope]] = []
        for field in fields_of(cls):
            value: Any = getattr(node, field, None)
            kind = type(value)
            where = scope if inner is None else inner.get(field, scope)
            if kind is list:
                items = clean_body(value) if field in _BODIES else value
                tokens.append(str(len(items)))
                for item in items:  # a comprehension is a call of its own: a tenth of the walk
                    children.append((item, where))  # noqa: PERF401
            elif value is None:
                tokens.append("-")
            elif kind is str or kind is int:
                tokens.append(str(value))
            else:
                tokens.append("+")
                children.append((value, where))
        params = getattr(node, "type_params", None)
        if params:
            children += [(param, scope) for param in params]
        children.reverse()
        self.stack += children

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        """A function: its body has a scope, while decorators, defaults and annotations are read around it."""
        scope.names.add(node.name)
        inner = self.scope("function", scope)
        inner.names.update(_parameters(node.args))
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Attribute):
                self.note_call(decorator, scope)
        self.visit(node, scope, {"body": inner})

    def lambda_(self, node: ast.Lambda, scope: Scope) -> None:
        """A lambda: as a function."""
        inner = self.scope("function", scope)
        inner.names.update(_parameters(node.args))
        self.visit(node, scope, {"body": inner})

    def class_(self, node: ast.ClassDef, scope: Scope) -> None:
        """A class: its body runs at once, and its names are hidden from its methods."""
        scope.names.add(node.name)
        self.visit(node, scope, {"body": self.scope("class", scope)})

    def comprehension(self, node: Any, scope: Scope) -> None:
        """A comprehension: a scope of its own, but for its first iterable."""
        inner = self.scope("comprehension", scope)
        heads = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.tokens.append(f"{type(node).__name__} {len(node.generators)}")
        children: list[tuple[Any, Scope]] = [(head, inner) for head in heads]
        for i, part in enumerate(node.generators):
            self.tokens.append(f"{len(part.ifs)} {part.is_async}")
            children += [(part.target, inner), (part.iter, inner if i else scope)]
            children += [(test, inner) for test in part.ifs]
        self.stack.extend(reversed(children))

    def import_(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        """An import, at any depth."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                target = Target(node.level or 0, node.module or "", alias.name)
                scope.bind_import(alias.asname or alias.name, target)
            elif alias.asname:
                scope.bind_import(alias.asname, Target(0, alias.name))
            else:
                top = alias.name.partition(".")[0]
                scope.bind_import(top, Target(0, top))
            if scope.kind == "class":  # read through the class or self, which a walk over names cannot see
                self.targets.update((t, ()) for t in scope.imports[_bound(node, alias)])
        self.visit(node, scope)

    def global_(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> None:
        """`global` and `nonlocal`."""
        (scope.globals if isinstance(node, ast.Global) else scope.nonlocals).update(node.names)
        self.visit(node, scope)

    def binder(self, node: Any, scope: Scope) -> None:
        """Nodes that bind a name they hold as text: `except ... as`, and patterns."""
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name is not None:
            scope.names.add(name)
        self.visit(node, scope)

    def walrus(self, node: ast.NamedExpr, scope: Scope) -> None:
        """`:=` binds in the scope around all comprehensions."""
        self.visit(node, scope, {"target": scope.walrus_scope()})

    def joined(self, node: ast.JoinedStr, scope: Scope) -> None:
        """An f-string; some versions split its text at braces, or end it with an empty one."""
        merged: list[ast.expr] = []
        for part in node.values:
            last = merged[-1] if merged else None
            if isinstance(part, ast.Constant) and not part.value:
                continue
            if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
                merged[-1] = ast.Constant(f"{last.value!s}{part.value!s}")
            else:
                merged.append(part)
        self.visit(ast.JoinedStr(merged), scope)

    def attribute(self, node: ast.Attribute, scope: Scope) -> None:
        """A dotted name, kept whole; a store into one changes its root."""
        if type(node.ctx) is not ast.Load:
            self.note_mutation(node, scope)
        attrs = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            attrs.append(base.attr)
            base = base.value
        attrs.reverse()
        self.tokens.append(f"Attribute {' '.join(attrs)}")
        if isinstance(base, ast.Name):
            self.tokens.append("$" + base.id)
            scope.loads.add((base.id, *attrs))
        else:
            self.stack.append((base, scope))

    def subscript(self, node: ast.Subscript, scope: Scope) -> None:
        """An item; a store into one changes its root."""
        if type(node.ctx) is not ast.Load:
            self.note_mutation(node, scope)
        self.visit(node, scope)

    def call(self, node: ast.Call, scope: Scope) -> None:
        """A call: may change what it is called on or given; `import_module("x")` is an import."""
        self.note_call(node.func, scope)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else root_name(node.func)
        first = node.args[0] if node.args else None
        if name in {"setattr", "delattr"} and first is not None:
            self.note_mutation(first, scope)
        elif name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
            path = str(first.value)
            bare = path.lstrip(".")
            self.targets.add((Target(len(path) - len(bare), bare), ()))
        if not scope.deferred:
            given = [*node.args, *(k.value for k in node.keywords)]
            scope.poked.update(arg.id for arg in given if isinstance(arg, ast.Name))
        self.visit(node, scope)

    def note_mutation(self, node: ast.expr, scope: Scope) -> None:
        """Something below a name is stored or deleted."""
        root = root_name(node)
        if root is not None:
            scope.stored.add(root)

    def note_call(self, func: ast.expr, scope: Scope) -> None:
        """A method is called on something below a name."""
        root = root_name(func) if isinstance(func, ast.Attribute) else None
        if root is None or not isinstance(func, ast.Attribute):
            return
        if func.attr in MUTATORS:
            scope.called.add(root)
        if not scope.deferred:
            scope.poked.add(root)

    def statement(self, kind: StatementKind) -> Statement:
        """Everything found, resolved against the scopes."""
        chains: set[Chain] = set()
        now: set[str] = set()
        later: set[str] = set()
        mutates: set[str] = set()
        changes: set[str] = set()
        pokes: set[str] = set()
        binds = set(self.module.names)
        for scope in self.scopes:
            for chain in scope.loads:
                found = scope.lookup(chain[0])
                if found is None:
                    chains.add(chain)
                    (later if scope.deferred else now).add(chain[0])
                else:
                    self.targets.update((target, chain[1:]) for target in found)
            stored = {name for name in scope.stored if scope.lookup(name) is None}
            called = {name for name in scope.called if scope.lookup(name) is None}
            mutates |= stored | called
            changes |= stored
            if not scope.deferred and kind not in {"data", "constant"}:
                changes |= called
            pokes.update(name for name in scope.poked if scope.lookup(name) is None)
            binds |= scope.names & scope.globals
        text = "\0".join(self.tokens).encode("utf-8", "surrogatepass")
        return Statement(
            kind,
            blake3(text).digest(length=20),
            frozenset(binds),
            frozenset(now),
            frozenset(later),
            frozenset(mutates),
            frozenset(changes),
            frozenset(pokes),
            tuple(chains),
            tuple(self.targets),
            self.module.imports,
        )


def _constant(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)  # decimal text of a huge integer is refused by Python
    return f"{type(value).__name__}:{value!a}"


def _bound(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if alias.asname:
        return alias.asname
    return alias.name if isinstance(node, ast.ImportFrom) else alias.name.partition(".")[0]


def _parameters(args: ast.arguments) -> list[str]:
    plain = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return plain + [arg.arg for arg in (args.vararg, args.kwarg) if arg is not None]


_HANDLERS: dict[type, Callable[[_Scan, Any, Scope], None]] = {
    ast.FunctionDef: _Scan.function,
    ast.AsyncFunctionDef: _Scan.function,
    ast.ClassDef: _Scan.class_,
    ast.Lambda: _Scan.lambda_,
    ast.ListComp: _Scan.comprehension,
    ast.SetComp: _Scan.comprehension,
    ast.GeneratorExp: _Scan.comprehension,
    ast.DictComp: _Scan.comprehension,
    ast.Import: _Scan.import_,
    ast.ImportFrom: _Scan.import_,
    ast.Global: _Scan.global_,
    ast.Nonlocal: _Scan.global_,
    ast.ExceptHandler: _Scan.binder,
    ast.MatchAs: _Scan.binder,
    ast.MatchStar: _Scan.binder,
    ast.MatchMapping: _Scan.binder,
    ast.NamedExpr: _Scan.walrus,
    ast.JoinedStr: _Scan.joined,
    ast.Attribute: _Scan.attribute,
    ast.Subscript: _Scan.subscript,
    ast.Call: _Scan.call,
}
