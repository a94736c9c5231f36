"""Names whose value in the process is not what their source says, looked up before every plan.

A walk over source sees what stands in files. An attribute set from another module, a table that a plug-in
fills and a setting read at import are seen here: each name that the walk reached is compared with what its
statement says, and only where they differ (or where the value had to be computed) is the value part of the
fingerprint. What is never looked into are flowsynth's own modules and installed libraries.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from flowsynth.core.canonical import Json, digest_json
from flowsynth.core.errors import InputError
from flowsynth.core.exact import NoFormError, exact
from flowsynth.core.filehash import file_hash
from flowsynth.core.fingerprint.forms import Forms
from flowsynth.core.fingerprint.module import Module
from flowsynth.core.fingerprint.reach import Step, Walk
from flowsynth.core.fingerprint.said import Said

_MISSING = object()
_ENGINE = ("flowsynth.core", "flowsynth.cache")


class NotComparedError(Exception):
    """A name was replaced by what cannot be compared with anything: nothing made with it is kept."""


class Look:
    """One look at all names that a class reaches.

    Attributes:
        parts: what differs from the source, by "module:symbol", with the code that came in by it.
        unseen: what no look can find, such as ``open(``, by where it stands.
    """

    def __init__(self, walk: Walk, roots: Iterable[str]) -> None:
        self.walk = walk
        self.parts: dict[str, Json] = {}
        self.unseen: dict[str, list[str]] = {}
        self._roots = list(roots)
        self._called: set[str] | None = None

    def at(self, labels: Iterable[str]) -> None:
        """Look at names, and at those that their live values lead to.

        Raises:
            NotComparedError: says which name.
            NoSource: code that a value leads to has no source.
        """
        known = set(labels)
        fresh = sorted(known)
        while fresh:
            asked: set[str] = set()
            for label in fresh:
                asked |= self._one(label)
            fresh = sorted(asked - known)
            known |= asked
            self.parts.update((label, self.walk.parts[label]) for label in fresh if label in self.walk.parts)

    def _one(self, label: str) -> set[str]:
        """Look at one name; the names that were reached by it."""
        name, _, symbol = label.partition(":")
        if name.partition(".")[0] == "flowsynth" or symbol == "*" or "[" in symbol:
            return set()
        module = self.walk.open(name)
        if module is None or not module.nodes:
            return set()
        self._outside(label, module, symbol)
        loaded = self._loaded(name)
        live = _MISSING if loaded is None else vars(loaded).get(symbol, _MISSING)
        if loaded is None or live is _MISSING:
            return set()
        before = set(self.walk.parts)
        forms = Forms(self.walk)
        form = self._difference(name, module, symbol, live, loaded, forms)
        if form is not None:
            self.parts[f"live {label}"] = digest_json(form)
        for asked in sorted(forms.asked):
            self.walk.reach(*asked.split(":", 1))
        for where, index in sorted(forms.statements):
            self.walk.reach_statement(where, index)
        return (set(self.walk.parts) - before) | (forms.asked & set(self.walk.parts))

    def _loaded(self, name: str) -> ModuleType | None:
        place = self.walk.finder.find(name)
        for candidate in (sys.modules.get(name), sys.modules.get("__main__")):
            file = None if candidate is None else vars(candidate).get("__file__")
            if isinstance(file, str) and place is not None and os.path.abspath(file) == place.path:  # noqa: PTH100
                return candidate
        return None

    def _outside(self, label: str, module: Module, symbol: str) -> None:
        for kind, text in sorted(module.outside(symbol)):
            if kind == "env":
                self.parts[f"env {text}"] = digest_json(os.environ.get(text))
            elif kind == "file":
                self.parts[f"file {text}"] = _content(text)
            else:
                self.unseen.setdefault(text, []).append(label)

    def _difference(
        self, name: str, module: Module, symbol: str, live: Any, loaded: ModuleType, forms: Forms
    ) -> Json:
        """The form of what a name stands for, in a list; None where that is what its source says."""
        said = module.said(symbol)
        kind = "computed" if said is None else said.kind
        if said is not None and kind == "class":
            return self._class(said, live, loaded, symbol, forms)
        if said is not None and kind == "import":
            if self._is_imported(name, module, symbol, live):
                return None
        elif said is not None and kind == "function":
            if _is_function(said, live, loaded):
                return None
        elif said is not None and kind == "value" and _form(live) == [said.value]:
            return None
        if kind in ("value", "computed") and self._changes_itself(name, module, symbol):
            return None
        try:
            form = [forms.form(live, symbol, 0)]
        except NoFormError as error:
            if kind == "computed":
                return None  # a logger, a lock: what made it stands in the source
            raise NotComparedError(
                f"{name}.{symbol} was set from outside to what cannot be compared: {error}"
            ) from error
        return _relative(form, loaded) if kind == "computed" else form

    def _class(self, said: Said, live: Any, loaded: ModuleType, symbol: str, forms: Forms) -> Json:
        if not isinstance(live, type) or (live.__module__, live.__qualname__) != (loaded.__name__, symbol):
            try:
                return [forms.form(live, symbol, 0)]
            except NoFormError:
                return None  # what a decorator made of it
        found: dict[str, Json] = {}
        for attr, value in vars(live).items():
            how = _how(said.members.get(attr), attr, value, loaded, live)
            try:
                if how != "as written":
                    found[attr] = _relative(forms.form(value, f"{symbol}.{attr}", 0), loaded)
            except NoFormError as error:
                if how == "set":
                    raise NotComparedError(f"{symbol}.{attr} was set from outside: {error}") from error
        return found or None

    def _is_imported(self, name: str, module: Module, symbol: str, live: Any) -> bool:
        """Whether an import's name stands for what its module holds now."""
        (index,) = module.binders[symbol]
        for target in module.statements[index].aliases.get(symbol, ()):
            source = sys.modules.get(self.walk.absolute(name, target))
            if source is None:
                return True
            if not target.name:
                return live is source
            held = vars(source).get(target.name, _MISSING)
            if held is _MISSING:
                held = sys.modules.get(f"{source.__name__}.{target.name}", live)
            return held is live or (_form(held) == _form(live) != [])
        return True

    def _changes_itself(self, name: str, module: Module, symbol: str) -> bool:
        """Whether functions that the class calls change a name: a memo, whose content must not matter."""
        changing = {*module.mutators.get(symbol, ()), *module.binders.get(symbol, ())}
        functions = {
            f"{name}:{bound}"
            for i in changing
            if module.statements[i].kind in ("function", "class")
            for bound in module.statements[i].binds
            if bound != symbol
        }
        return bool(functions) and not functions.isdisjoint(self._calls())

    def _calls(self) -> set[str]:
        """The names that the class itself leads to, without those that only change what it reads."""
        if self._called is None:
            walk = _Calls(self.walk.finder, self.walk.reader, self.walk.own)
            for root in self._roots:
                walk.reach(*root.split(":", 1))
            self._called = set(walk.parts)
        return self._called


class _Calls(Walk):
    """A walk that takes of each symbol only the statements that bind it."""

    def _symbol(self, step: Step, module: Module) -> None:
        name = step.chain[0]
        self.parts[f"{step.module}:{name}"] = ""
        for i in module.binders[name]:
            statement = module.statements[i]
            for target in statement.aliases.get(name, ()):
                self._follow(step.module, target, step.chain[1:])
            self._statement(step.module, i, statement, name)


def _form(value: Any) -> list[Json]:
    """The exact form of plain data in a list, or nothing."""
    try:
        return [exact(value)]
    except NoFormError:
        return []


def _is_function(said: Said, live: Any, loaded: ModuleType) -> bool:
    """Whether a function is the one that its statement defines, with the defaults that stand there."""
    if not isinstance(live, FunctionType) or live.__code__.co_filename != vars(loaded).get("__file__"):
        return False
    code = live.__code__
    if not said.first <= code.co_firstlineno <= said.last:
        return False
    names = code.co_varnames[: code.co_argcount]
    plain = live.__defaults__ or ()
    given: dict[str, Any] = dict(zip(names[len(names) - len(plain) :], plain, strict=True))
    given |= live.__kwdefaults__ or {}
    written = said.value if isinstance(said.value, dict) else {}
    return all(name in given and _form(given[name]) == [form] for name, form in written.items())


def _how(said: Said | None, attr: str, value: Any, loaded: ModuleType, cls: type) -> str:
    """How a class came to an attribute: ``as written``, ``computed`` by its body, or ``set`` from outside."""
    inner = getattr(value, "__func__", getattr(value, "fget", value))
    file = inner.__code__.co_filename if isinstance(inner, FunctionType) else ""
    if said is not None and said.kind == "function":
        return "as written" if _is_function(said, inner, loaded) else "set"
    if said is not None and said.kind == "value":
        return "as written" if hasattr(value, "__get__") or _form(value) == [said.value] else "set"
    if file:
        own = file == vars(loaded).get("__file__") or _is_generated(attr, file)
        return "as written" if own else "set" if said is None else "computed"
    if attr.startswith("_") or attr in _MADE or _is_made(cls) or not _form(value):
        return "as written"
    return "set" if said is None else "computed"


_MADE = frozenset({"model_config", "model_fields", "model_computed_fields"})
_LIBRARY = ("site-packages", "dist-packages", f"{os.sep}lib{os.sep}python")


def _is_generated(attr: str, file: str) -> bool:
    """Whether a library wrote a method: a dataclass's, pydantic's."""
    return attr.startswith("__") or file.startswith("<") or any(part in file for part in _LIBRARY)


def _is_made(cls: type) -> bool:
    """Enums and named tuples get attributes of their own from their makers."""
    return hasattr(cls, "__members__") or hasattr(cls, "_field_defaults")


def _relative(form: Json, loaded: ModuleType) -> Json:
    """A form whose texts do not name the folder that the module lies in: a copy elsewhere acts the same."""
    folder = str(Path(str(vars(loaded).get("__file__"))).parent)

    def plain(item: Json) -> Json:
        if isinstance(item, str):
            return item.replace(folder, "<folder>")
        if isinstance(item, list):
            return [plain(part) for part in item]
        return {key: plain(part) for key, part in item.items()} if isinstance(item, dict) else item

    return plain(form)


def _content(path: str) -> str:
    try:
        return file_hash(Path(path))
    except (InputError, ValueError):
        return "none"
