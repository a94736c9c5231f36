"""What a module's source says of its names, to be compared with what they stand for in the process."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from flowsynth.core.canonical import Json
from flowsynth.core.exact import NoFormError, exact
from flowsynth.core.fingerprint.syntax import clean_body

SaidKind: TypeAlias = Literal["function", "class", "import", "value", "computed"]


@dataclass(frozen=True, slots=True)
class Said:
    """What one statement says of one name.

    Attributes:
        kind: a plain function or class, an import, a literal, or anything else.
        first: the statement's first line, decorators included.
        last: its last line.
        value: the exact form of a literal; of a function its literal defaults by parameter.
        members: what a class's body says of its names.
    """

    kind: SaidKind
    first: int
    last: int
    value: Json = None
    members: Mapping[str, Said] = field(default_factory=dict)


def says(node: ast.stmt) -> dict[str, Said]:
    """What a statement says of the names that it binds; those in branches and loops are computed."""
    first = (
        min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        if hasattr(node, "lineno")
        else 0
    )
    last = getattr(node, "end_lineno", first) or first
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        kind: SaidKind = "computed" if node.decorator_list else "function"
        return {node.name: Said(kind, first, last, _defaults(node.args))}
    if isinstance(node, ast.ClassDef):
        return {node.name: Said("class", first, last, None, _members(node))}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [
            a.asname or (a.name.partition(".")[0] if isinstance(node, ast.Import) else a.name)
            for a in node.names
        ]
        return {name: Said("import", first, last) for name in names}
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        return _assigned(node, node.value, first, last)
    return {}


def _assigned(node: ast.Assign | ast.AnnAssign, value: ast.expr, first: int, last: int) -> dict[str, Said]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not all(isinstance(target, ast.Name) for target in targets):
        return {}
    found = literal(value)
    said = Said("computed", first, last) if found is None else Said("value", first, last, found[0])
    return {target.id: said for target in targets if isinstance(target, ast.Name)}


def literal(node: ast.expr | None) -> tuple[Json] | None:
    """The exact form of a literal, in a tuple since None is one; None for what has to be computed."""
    if node is None:
        return None
    try:
        return (exact(ast.literal_eval(node)),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, NoFormError):
        return None


def _defaults(args: ast.arguments) -> Json:
    """Parameter -> the form of its default, where that is a literal."""
    plain = [*args.posonlyargs, *args.args]
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]
    return {arg.arg: found[0] for arg, node in pairs if (found := literal(node)) is not None}


def _members(node: ast.ClassDef) -> dict[str, Said]:
    members: dict[str, Said] = {}
    for statement in clean_body(node.body):
        for name, said in says(statement).items():
            members[name] = Said("computed", said.first, said.last) if name in members else said
        for inner in ast.walk(statement):  # names bound in branches, and what is only annotated
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                members.setdefault(inner.id, Said("computed", 0, 0))
    return members


Outside: TypeAlias = tuple[Literal["env", "file", "unseen"], str]
_READS = frozenset({"read_text", "read_bytes"})
_STARTS = frozenset({"run", "Popen", "call", "check_call", "check_output"})


def outside(node: ast.stmt) -> set[Outside]:
    """What a statement reads from outside of the program: names of the environment, files, and the unseen.

    Names and paths that stand there as text can be looked up; the others are only named.
    """
    found: set[Outside] = set()
    settled: set[int] = set()
    for item in ast.walk(node):  # parents first
        if isinstance(item, ast.Call):
            found.update(_called(item, settled))
        elif isinstance(item, ast.Subscript) and _is_environ(item.value):
            settled.add(id(item.value))
            found.add(_named("env", item.slice, "environ"))
        elif _is_environ(item) and id(item) not in settled:
            found.add(("unseen", "environ"))
    return found


def _called(call: ast.Call, settled: set[int]) -> list[Outside]:
    func, first = call.func, call.args[0] if call.args else None
    if isinstance(func, ast.Name):
        if func.id == "open":
            return [_named("file", first, "open(")] if _reads(call) else []
        if func.id in ("exec", "eval", "__import__") and not isinstance(first, ast.Constant):
            return [("unseen", f"{func.id}(")]
        return [_named("env", first, "getenv(")] if func.id == "getenv" else []
    if not isinstance(func, ast.Attribute):
        return []
    owner, text = func.value, ast.unparse(func)
    if _is_environ(owner) and func.attr in ("get", "pop", "setdefault"):
        settled.add(id(owner))
        return [_named("env", first, "environ")]
    if text == "os.getenv":
        return [_named("env", first, "getenv(")]
    if func.attr in _READS or (func.attr == "open" and _reads(call)):
        return [_named("file", _path(owner), f"{func.attr}(")]
    if text in ("os.system", "os.popen") or (func.attr in _STARTS and text.startswith("subprocess.")):
        return [("unseen", text.partition(".")[0] if func.attr in _STARTS else text)]
    if func.attr == "import_module" and not isinstance(first, ast.Constant):
        return [("unseen", "import_module(")]
    return []


def _named(kind: Literal["env", "file"], node: ast.expr | None, what: str) -> Outside:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return kind, node.value
    return "unseen", what


def _path(owner: ast.expr) -> ast.expr | None:
    """The text of `Path("text")`."""
    name = owner.func if isinstance(owner, ast.Call) else None
    last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    return owner.args[0] if isinstance(owner, ast.Call) and last == "Path" and len(owner.args) == 1 else None


def _is_environ(node: ast.AST) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _reads(call: ast.Call) -> bool:
    """Whether an `open` may read: its mode is unknown, or not one that only writes."""
    at = 1 if isinstance(call.func, ast.Name) else 0
    modes: list[Any] = [k.value for k in call.keywords if k.arg == "mode"] or list(call.args[at : at + 1])
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
    return not (isinstance(mode, str) and mode[:1] in ("w", "x", "a") and "+" not in mode)
