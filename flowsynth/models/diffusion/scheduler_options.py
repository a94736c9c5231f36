"""What a scheduler's options may be, read from diffusers' source without torch: told before a run."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flowsynth.core.errors import Fault, listing, nearest
from flowsynth.models.diffusion.schedulers import UnknownSchedulerError, resolve_scheduler

#: Types of YAML's values by the word for them in an annotation.
_TYPES: dict[str, tuple[type, ...]] = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}


@dataclass(frozen=True, slots=True)
class Option:
    """One argument of a scheduler's constructor.

    Attributes:
        types: what it takes; empty where its annotation is no plain one.
        words: the texts that the class tells apart; empty where it takes any.
        optional: whether it may be null.
    """

    types: tuple[type, ...]
    words: frozenset[str]
    optional: bool


def scheduler_option_faults(
    path: str, name: str | None, own: str | None, options: Mapping[str, Any]
) -> list[Fault]:
    """What is wrong with options of a scheduler; nothing where its class is not known.

    Args:
        path: of the mapping that holds them.
        name: as a node or model says it; None for the model's own.
        own: class of the model's own scheduler, if that is known.
        options: by name.
    """
    if not options:
        return []
    try:
        kind = resolve_scheduler(name)[0] if name is not None else own
    except UnknownSchedulerError:
        return []  # said of the name itself
    known = {} if kind is None else scheduler_options(kind)
    return [
        fault for key, value in options.items() if known for fault in _faults(path, kind, known, key, value)
    ]


def _faults(
    path: str, kind: str | None, known: Mapping[str, Option], key: str, value: Any
) -> Iterator[Fault]:
    where = f"{path}.{key}"
    option = known.get(key)
    if option is None:
        message = f"{kind} has no such option"
        yield Fault(where, message, f"one of {listing(known, 40)}", repr(key), nearest(key, known))
    elif value is None:
        if not option.optional:
            yield Fault(where, "bad value", _expected(option), "null")
    elif option.types and (
        not isinstance(value, option.types) or (isinstance(value, bool) and bool not in option.types)
    ):
        yield Fault(where, "bad value", _expected(option), repr(value)[:80])
    elif isinstance(value, str) and option.words and value not in option.words:
        yield Fault(where, "bad value", _expected(option), repr(value)[:80], nearest(value, option.words))


def _expected(option: Option) -> str:
    if option.words:
        return f"one of {listing(option.words)}"
    return " or ".join(kind.__name__ for kind in option.types) or "a value"


@cache
def scheduler_options(kind: str) -> Mapping[str, Option]:
    """The options of a scheduler's class; empty where diffusers has no such class."""
    node = _class(kind)
    if node is None:
        return {}
    start = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if start is None:
        return {}
    given = [*start.args.posonlyargs, *start.args.args][1:]
    defaults = [*[None] * (len(given) - len(start.args.defaults)), *start.args.defaults]
    told = _words(node)
    return {
        arg.arg: _option(arg, default, told.get(arg.arg, set()))
        for arg, default in zip(given, defaults, strict=True)
    }


def _option(arg: ast.arg, default: ast.expr | None, told: set[str]) -> Option:
    text = "" if arg.annotation is None else ast.unparse(arg.annotation)
    plain = {part.strip() for part in text.replace("Optional[", "").replace("]", "").split("|")}
    optional = (
        "Optional" in text or "None" in plain or (isinstance(default, ast.Constant) and default.value is None)
    )
    words = plain - {"None"}
    types = tuple(kind for word in words for kind in _TYPES.get(word, ()))
    if not words <= set(_TYPES):
        types = ()
    usual = default.value if isinstance(default, ast.Constant) else None
    closed = len(told) > 1 and usual in told  # else the class takes further texts without telling them apart
    return Option(types, frozenset(told) if closed else frozenset(), optional)


def _words(node: ast.ClassDef) -> dict[str, set[str]]:
    """Texts that a class holds its options against, by option."""
    found: dict[str, set[str]] = {}
    for test in ast.walk(node):
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            name = _name(test.left)
            texts = {c.value for c in ast.walk(test.comparators[0]) if isinstance(c, ast.Constant)}
            if name:
                found.setdefault(name, set()).update(text for text in texts if isinstance(text, str))
    return found


def _name(node: ast.expr) -> str:
    """An option as the class's code names it: ``beta_schedule`` or ``self.config.beta_schedule``."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


@cache
def _class(kind: str) -> ast.ClassDef | None:
    found = importlib.util.find_spec("diffusers")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "schedulers"
    for path in sorted(folder.glob("scheduling_*.py")):
        text = path.read_text(encoding="utf-8")
        if f"class {kind}(" in text:
            return next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == kind)
    return None
