"""From a class to its fingerprint: where its source is, what it names besides, and what it captured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FunctionType, ModuleType

from blake3 import blake3

from flowsynth.core.errors import did_you_mean
from flowsynth.core.fingerprint.files import Finder
from flowsynth.core.fingerprint.loaded import NoSource
from flowsynth.core.fingerprint.memo import Entry, FingerprintMemo
from flowsynth.core.fingerprint.reach import Walk

_CONSTANTS = (type(None), bool, int, float, complex, str, bytes)


def source_fingerprint(
    cls: type, *, uses: Sequence[object | str] = (), memo: FingerprintMemo | None = None
) -> str:
    """The hash of all source code that an operator's result can depend on.

    It is over the syntax trees, without positions, comments and docstrings, of the class, its bases up to
    the engine's, and every helper they reach in the operator's own code and in flowsynth's functional, nets,
    models, values, media and operators. Nothing is imported for it.

    Args:
        cls: the class, which is loaded; what it reaches need not be.
        uses: what the class picks by a computed name: functions, classes, modules, or "module:symbol" texts.
        memo: keeps fingerprints on disk and files read; without it everything is read again.

    Returns:
        40 hexadecimal digits.

    Raises:
        NoSource: the class has no source file, or its enclosing function gave it something without a hash.
        LookupError: a text in `uses` names nothing.
        TypeError: an object in `uses` is no function, class or module.
    """
    return source_entry(cls, uses, memo).fingerprint


def source_parts(
    cls: type, *, uses: Sequence[object | str] = (), memo: FingerprintMemo | None = None
) -> dict[str, str]:
    """The parts of a fingerprint, by which a changed helper can be named.

    Args:
        cls: as in `source_fingerprint`, as are `uses`, `memo` and the errors.

    Returns:
        "module:symbol" to the hash of that symbol's own statements, sorted; "module:*" stands for the
        statements of a module that bind no name.
    """
    return dict(source_entry(cls, uses, memo).parts)


def code_fingerprint(label: str) -> str | None:
    """The hash of all source code that a symbol reaches in the package it lies in, installed or not.

    Args:
        label: as "module:symbol".

    Returns:
        40 hexadecimal digits; None where there is no such symbol, or no source of it.
    """
    name, _, symbol = label.partition(":")
    memo = FingerprintMemo()
    walk = Walk(memo.finder, memo.reader, frozenset({name.partition(".")[0]}))
    try:
        _require(walk, name, symbol)
        walk.reach(name, symbol)
    except (LookupError, NoSource):
        return None
    return _text_hash(walk.parts)


def _text_hash(parts: Mapping[str, str]) -> str:
    text = "\n".join(f"{label} {digest}" for label, digest in sorted(parts.items()))
    return blake3(text.encode()).hexdigest(length=20)


def source_entry(cls: type, uses: Sequence[object | str], memo: FingerprintMemo | None) -> Entry:
    """A fingerprint with its parts; as `source_fingerprint`."""
    memo = FingerprintMemo() if memo is None else memo
    roots = roots_of(cls, memo.finder)
    captured, extra = _captured(cls)
    asked = [_use(memo.finder, use) for use in (*uses, *extra)]
    key = json.dumps([roots, asked, captured])
    entry = memo.get(key)
    if entry is None:
        entry = _compute(cls, roots, asked, captured, memo)
        memo.put(key, entry)
    return entry


def roots_of(cls: type, finder: Finder) -> list[str]:
    """Where a fingerprint's walk begins: the class and its bases, as "module:symbol".

    Raises:
        NoSource: one of them has no file.
    """
    return [_label(finder, base) for base in _own_classes(cls, finder)]


def own_names(roots: Sequence[str]) -> frozenset[str]:
    """Top-level names of a class's own packages and scripts."""
    return frozenset(label.partition(":")[0].partition(".")[0] for label in roots) - {"flowsynth"}


def _compute(
    cls: type, roots: list[str], asked: list[str], captured: dict[str, str], memo: FingerprintMemo
) -> Entry:
    walk = Walk(memo.finder, memo.reader, own_names(roots))
    for label in roots:
        name, _, symbol = label.partition(":")
        module = walk.open(name)
        if module is not None and symbol not in module.binders:
            raise NoSource(f"{cls.__qualname__} is not defined by a statement of {name}: {_ADVICE}")
        walk.reach(name, symbol)
    for label in asked:
        name, _, symbol = label.partition(":")
        _require(walk, name, symbol)
        walk.reach(name, symbol)
    parts = dict(sorted({**walk.parts, **captured}.items()))
    return Entry(_text_hash(parts), parts, walk.places)


_ADVICE = "define it in a file of its own"


def _own_classes(cls: type, finder: Finder) -> list[type]:
    """The class and those of its bases that are operators' code too."""
    engine = tuple(c for c in cls.__mro__ if c.__module__.startswith(("flowsynth.core", "flowsynth.cache")))
    if engine:
        return [c for c in cls.__mro__ if c is cls or (c not in engine and issubclass(c, engine))]
    return [c for c in cls.__mro__ if c is cls or not finder.is_library(c.__module__.partition(".")[0])]


def _label(finder: Finder, item: type | FunctionType) -> str:
    """Name the top-level statement that defines a class or function, as "module:symbol".

    Raises:
        NoSource: there is no file, or the code comes from a text that was executed.
    """
    code = next(_codes(item), None)
    if code is not None and code.co_filename.startswith("<"):
        raise NoSource(f"{item.__qualname__} comes from {code.co_filename}, not from a file: {_ADVICE}")
    try:
        name = finder.adopt(item.__module__)
    except KeyError:
        raise NoSource(
            f"{item.__qualname__} is in {item.__module__}, which has no source file: {_ADVICE}"
        ) from None
    return f"{name}:{item.__qualname__.partition('.')[0]}"


def _codes(item: type | FunctionType) -> Iterator[CodeType]:
    """The code of a function, or of a class's `run`, which no decorator generates."""
    run = item if isinstance(item, FunctionType) else vars(item).get("run")
    run = getattr(run, "__wrapped__", run)
    if isinstance(run, FunctionType):
        yield run.__code__


def _use(finder: Finder, use: object) -> str:
    if isinstance(use, str):
        return use
    if isinstance(use, ModuleType):
        return _adopted(finder, use.__name__)
    module, name = getattr(use, "__module__", None), getattr(use, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError(
            f"uses: {use!r} is a {type(use).__name__}; expected a function, class, module or 'module:name'"
        )
    symbol = name.partition(".")[0]
    if symbol == "<lambda>":
        symbol = next((n for n, v in vars(sys.modules[module]).items() if v is use), symbol)
    return f"{_adopted(finder, module)}:{symbol}"


def _adopted(finder: Finder, module: str) -> str:
    try:
        return finder.adopt(module)
    except KeyError:
        return module


def _require(walk: Walk, name: str, symbol: str) -> None:
    """Raise if a text in `uses` names nothing; installed libraries are not looked into."""
    module = walk.open(name)
    missing_top = walk.finder.find(name.partition(".")[0]) is None
    if module is None and (missing_top or walk.places.get(name, "") is None):
        raise LookupError(f"uses: there is no module {name!r}")
    if (
        module is None
        or not symbol
        or symbol in module.binders
        or module.stars
        or "__getattr__" in module.binders
    ):
        return
    raise LookupError(f"uses: {name} has no {symbol!r}{did_you_mean(symbol, module.binders)}")


def _captured(cls: type) -> tuple[dict[str, str], list[object]]:
    """What a class made inside a function took from it: constants by hash, and functions to follow.

    Raises:
        NoSource: something else was captured, so that two such classes could not be told apart.
    """
    constants: dict[str, str] = {}
    followed: list[object] = []
    if "<locals>" not in cls.__qualname__:
        return constants, followed
    for where, name, value in _taken(cls):
        if isinstance(value, (FunctionType, type, ModuleType)):
            if value is not cls:
                followed.append(value)
        elif _is_constant(value):
            constants[f"{cls.__module__}:{where}[{name}]"] = blake3(ascii(value).encode()).hexdigest(
                length=20
            )
        elif not name.startswith("class "):
            raise NoSource(
                f"{cls.__qualname__} takes {name!r}, a {type(value).__name__}, from the function around it; "
                "make it a parameter"
            )
    return constants, followed


def _taken(cls: type) -> Iterator[tuple[str, str, object]]:
    for attr, value in vars(cls).items():
        functions = list(_own_functions(cls, value))
        for function in functions:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                if name != "__class__":
                    yield f"{cls.__qualname__}.{attr}", name, cell.cell_contents
        if not functions and not attr.startswith("_") and _is_constant(value):
            yield cls.__qualname__, f"class {attr}", value


def _own_functions(cls: type, value: object) -> Iterator[FunctionType]:
    """The functions behind a class attribute that were written in the class's file, decorators unwrapped."""
    file = vars(sys.modules[cls.__module__]).get("__file__")
    value = getattr(value, "fget", getattr(value, "__func__", value))
    while isinstance(value, FunctionType):
        if value.__code__.co_filename == file:
            yield value
        value = getattr(value, "__wrapped__", None)


def _is_constant(value: object) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(_is_constant(item) for item in value)
    return type(value) in _CONSTANTS
