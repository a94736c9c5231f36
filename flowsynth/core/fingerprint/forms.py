"""The exact form of live code: functions, classes and modules that stand in a value or in a module's name."""

from __future__ import annotations

import sys
from functools import partial
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from flowsynth.core.canonical import Json
from flowsynth.core.exact import ExactWalk, NoFormError
from flowsynth.core.fingerprint.bytecode import PYTHON, code_digest, global_names
from flowsynth.core.fingerprint.files import LIBRARIES
from flowsynth.core.fingerprint.reach import Walk

_ITEMS = 20_000


class Forms(ExactWalk):
    """Forms of values with code in them. Code that has a file is asked for by name, to be walked statically.

    Attributes:
        asked: "module:symbol" of what has to be walked.
        statements: (module, index) of statements that have to be, since no name leads to them.
    """

    limit = _ITEMS

    def __init__(self, walk: Walk) -> None:
        super().__init__(set())
        self.walk = walk
        self.asked: set[str] = set()
        self.statements: set[tuple[str, int]] = set()
        self._open: set[int] = set()

    def instance(self, value: Any, kind: type, where: str, depth: int) -> list[Json]:
        """Live code, or what any other value is."""
        if isinstance(value, FunctionType):
            return self._once(value, where, depth)
        if isinstance(value, type):
            return self._class(value, where, depth)
        if isinstance(value, ModuleType):
            return ["module", self._name(value.__name__, "")]
        if isinstance(value, (BuiltinFunctionType, BuiltinMethodType)):
            owner = value.__self__
            bound = (
                None if owner is None or isinstance(owner, ModuleType) else self.form(owner, where, depth + 1)
            )
            return ["builtin", f"{value.__module__}:{value.__qualname__}", bound]
        if isinstance(value, partial):
            parts = [value.func, value.args, dict(sorted(value.keywords.items()))]
            return ["partial", *(self.form(part, where, depth + 1) for part in parts)]
        if isinstance(value, MethodType):
            return [
                "method",
                self.form(value.__func__, where, depth + 1),
                self.form(value.__self__, where, depth + 1),
            ]
        if isinstance(value, (staticmethod, classmethod)):
            return [kind.__name__, self.form(value.__func__, where, depth + 1)]
        if isinstance(value, property):
            return [
                "property",
                *(self.form(f, where, depth + 1) for f in (value.fget, value.fset, value.fdel)),
            ]
        if kind.__name__ in ("_lru_cache_wrapper", "cached_property"):
            inner = getattr(value, "__wrapped__", None) or getattr(value, "func", None)
            return [kind.__name__, self.form(inner, where, depth + 1)]
        return super().instance(value, kind, where, depth)

    def _once(self, function: FunctionType, where: str, depth: int) -> list[Json]:
        if id(function) in self._open:
            return ["again", function.__qualname__]
        self._open.add(id(function))
        try:
            return self._function(function, where, depth)
        finally:
            self._open.discard(id(function))

    def _function(self, function: FunctionType, where: str, depth: int) -> list[Json]:
        code = function.__code__
        cells: dict[str, Json] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                held = cell.cell_contents
            except ValueError:  # not bound yet
                continue
            cells[name] = ["class"] if name == "__class__" else self.form(held, f"{where}<{name}>", depth + 1)
        given = [function.__defaults__, function.__kwdefaults__]
        return [
            "function",
            self._definition(function, where, depth),
            self.form(given, where, depth + 1),
            cells,
        ]

    def _definition(self, function: FunctionType, where: str, depth: int) -> Json:
        """Where the function stands in a file, else what it does."""
        code, module = function.__code__, sys.modules.get(function.__module__)
        if module is not None and self._is_library(function.__module__):
            return f"{function.__module__}:{function.__qualname__}"
        if module is not None and vars(module).get("__file__") == code.co_filename:
            found = self._statement(function.__module__, code)
            if found is not None:
                return found
        return [PYTHON, code_digest(code), self._globals(function, where, depth)]

    def _statement(self, module_name: str, code: CodeType) -> Json:
        try:
            name = self.walk.finder.adopt(module_name)
        except KeyError:
            return None
        module = self.walk.open(name)
        index = None if module is None else module.statement_at(code.co_firstlineno)
        if module is None or index is None:
            return None
        statement = module.statements[index]
        qualname = getattr(code, "co_qualname", code.co_name)
        symbol = qualname.partition(".")[0]
        if statement.kind in ("function", "class") and symbol in statement.binds:
            self.asked.add(f"{name}:{symbol}")
            return f"{name}:{qualname}"
        self.statements.add((name, index))
        return [name, statement.digest.hex(), code_digest(code)]

    def _globals(self, function: FunctionType, where: str, depth: int) -> dict[str, Json]:
        """What a function without a file reads of its module."""
        names, held = global_names(function.__code__), function.__globals__
        return {n: self.form(held[n], f"{where}<{n}>", depth + 1) for n in names if n in held}

    def _class(self, cls: type, where: str, depth: int) -> list[Json]:
        if self._is_library(cls.__module__) or cls.__module__.startswith("flowsynth."):
            return ["class", f"{cls.__module__}:{cls.__qualname__}"]
        if vars(sys.modules.get(cls.__module__, ModuleType(""))).get("__file__") is not None:
            symbol = cls.__qualname__.partition(".")[0]
            return ["class", self._name(cls.__module__, symbol), cls.__qualname__]
        return ["class", *self.bare_class(cls, where, depth)]

    def bare_class(self, cls: type, where: str, depth: int) -> list[Json]:
        """A class without a file, by what its body made.

        Raises:
            NoFormError: it holds, or its methods read, something that has no form.
        """
        if id(cls) in self._open:
            return ["again", cls.__qualname__]
        self._open.add(id(cls))
        members = {
            name: self.form(value, f"{cls.__qualname__}.{name}", depth + 1)
            for name, value in sorted(vars(cls).items())
            if _is_written(name, value, cls)
        }
        bases = [self.form(base, where, depth + 1) for base in cls.__bases__ if base is not object]
        self._open.discard(id(cls))
        return [PYTHON, cls.__qualname__, members, bases]

    def _name(self, module: str, symbol: str) -> str:
        """Ask for a symbol (or all) of a module; the name that it goes by."""
        if self._is_library(module):
            return module
        try:
            label = f"{self.walk.finder.adopt(module)}:{symbol}"
        except KeyError:
            raise NoFormError(f"{module} has no source file") from None
        self.asked.add(label)
        return label

    def _is_library(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top in ("__main__", "flowsynth"):
            return False
        return top in LIBRARIES or top in sys.builtin_module_names or self.walk.finder.is_library(top)


def _is_written(name: str, value: object, cls: type) -> bool:
    """Whether a class's body made an attribute, and no library that builds classes."""
    if name.startswith("__"):
        return isinstance(value, FunctionType) and value.__module__ == cls.__module__
    return name not in ("_abc_impl", "model_config")
