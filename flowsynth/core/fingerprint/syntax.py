"""What of a syntax tree counts: no positions, comments, docstrings, `pass` or type-checking blocks."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_SKIPPED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_plans: dict[type[ast.AST], tuple[str, ...]] = {}

MUTATORS = frozenset(
    {
        "append",
        "appendleft",
        "extend",
        "extendleft",
        "insert",
        "add",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "remove",
        "discard",
        "clear",
        "sort",
        "reverse",
        "register",
        "fill",
        "put",
        "itemset",
        "resize",
        "setflags",
        "fill_",
        "copy_",
        "__setitem__",
        "__delitem__",
        "__setattr__",
    }
)
"""Methods whose call changes the object they are called on, or is meant to."""


def fields_of(cls: type[ast.AST]) -> tuple[str, ...]:
    """The fields that count of a node type, the same on every Python version.

    `type_params` (3.12) is left to the caller, since it is empty nearly always and absent before.
    """
    plan = _plans.get(cls)
    if plan is None:
        plan = tuple(f for f in cls._fields if f not in _SKIPPED and f != "type_params")
        _plans[cls] = plan
    return plan


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING`, plain or as an attribute of a module."""
    if isinstance(test, ast.Name):
        return test.id == "TYPE_CHECKING"
    return isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"


def is_main_guard(node: ast.stmt) -> bool:
    """Whether a statement is `if __name__ == "__main__":`."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.left, ast.Name)
        and node.test.left.id == "__name__"
    )


def live_branch(node: ast.If) -> list[ast.stmt] | None:
    """The branch that runs when the condition is on `TYPE_CHECKING`; None for any other condition."""
    if is_type_checking(node.test):
        return node.orelse
    if (
        isinstance(node.test, ast.UnaryOp)
        and isinstance(node.test.op, ast.Not)
        and is_type_checking(node.test.operand)
    ):
        return node.body
    return None


def clean_body(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """A body without docstrings, bare constants, `pass` and blocks for type checkers."""
    kept: list[ast.stmt] = []
    stack = list(body)[::-1]
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is ast.Pass or (kind is ast.Expr and isinstance(node.value, ast.Constant)):  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.If):
            branch = live_branch(node)
            if branch is not None:
                stack.extend(reversed(branch))
                continue
        kept.append(node)
    return kept


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module, with `if __name__ == "__main__":` opened and imports one name each.

    A script's operators must not depend on what else its main block does, and a name imported beside others
    must not depend on them.
    """
    stack = clean_body(tree.body)[::-1]
    while stack:
        node = stack.pop()
        if is_main_guard(node):
            assert isinstance(node, ast.If)
            stack.extend(reversed(clean_body([*node.body, *node.orelse])))
        elif isinstance(node, ast.Import):
            yield from (ast.Import(names=[alias]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (ast.ImportFrom(module=node.module, names=[a], level=node.level) for a in node.names)
        else:
            yield node


def root_name(node: ast.expr) -> str | None:
    """The name that a chain of attributes and items starts from: `TABLE` of `TABLE["x"].y`."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def is_constant(node: ast.expr | None) -> bool:
    """Whether an expression can only give an immutable value: numbers, strings, tuples of them."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Tuple):
            stack.extend(item.elts)
        elif isinstance(item, ast.UnaryOp):
            stack.append(item.operand)
        elif not isinstance(item, ast.Constant):
            return False
    return True
