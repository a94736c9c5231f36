"""The values of a composed configuration: every interpolation replaced once, and what was read noted.

The grammar is OmegaConf's. The look-up is our own, so that each value is worked out once however many
others name it (a chain of ``${b}${b}`` ends with a message, not with the memory), so that the environment
is read only where the user allowed it, and so that it is known which values a graph reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowsynth.config.resolvers import OWN, BrokenError, Path, Sized, resolve, scalar_size, written_size
from flowsynth.core.errors import Fault, listing, nearest

MISSING = "???"
#: How far interpolations may make a value larger than all that was written, in characters.
MAX_ADDED = 4 * 2**20
#: Interpolations that lead to one another, one after the other.
MAX_CHAIN = 40
#: Interpolations in one text: beyond that the grammar's parser takes seconds, or all of the stack.
MAX_INTERPOLATIONS = 200
_MENTION = re.compile(r"\$\{\s*([\w-]+(?:\.[\w-]+)*)")
_SIMPLE = re.compile(r"\$\{(\.*[^\W\d][\w-]*(?:\.[\w-]+)*)\}", re.ASCII)


@dataclass(slots=True)
class Values:
    """Works out the values of a configuration.

    Attributes:
        raw: the configuration as plain mappings, lists and scalars, interpolations as texts.
        faults: what could not be worked out.
        reads: the places that interpolations led to.
        links: place -> the places that its interpolations led to.
        foreign: a resolver was called that somebody else registered, which may say something else next time.
        environment: a variable of the environment was asked for.
        now: what ``${now:...}`` says.
    """

    raw: Mapping[str, Any]
    faults: list[Fault] = field(default_factory=list)
    reads: set[Path] = field(default_factory=set)
    links: dict[Path, set[Path]] = field(default_factory=dict)
    foreign: bool = False
    environment: bool = False
    done: dict[Path, Sized] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())
    _open: list[Path] = field(default_factory=list)
    _broken: set[Path] = field(default_factory=set)
    _chain: int = 0
    _most: int = 0

    def get(self, *path: str | int) -> Any:
        """The value at a place; None, and a fault noted, where it cannot be worked out."""
        try:
            return self.at(path).value
        except BrokenError:
            return None

    def at(self, path: Path) -> Sized:
        """The value at a place that is there.

        Raises:
            BrokenError: it cannot be worked out; the fault is noted.
        """
        if path in self.done:
            return self.done[path]
        if path in self._broken:
            raise BrokenError(None)
        if path in self._open:
            raise BrokenError(Fault("", "interpolations run in a circle", "a value"))
        self._open.append(path)
        try:
            done = self._work_out(path, self.written(path))
        except BrokenError as error:
            raise self._noted(path, error) from None
        except RecursionError:
            fault = Fault("", "interpolations lead too far", f"at most {MAX_CHAIN}, one after the other")
            raise self._noted(path, BrokenError(fault)) from None
        finally:
            self._open.pop()
        self.done[path] = done
        return done

    def outside(self, places: Set[Path]) -> dict[Path, Sized]:
        """What was worked out of all other places."""
        return {path: done for path, done in self.done.items() if path not in places}

    def written(self, path: Path) -> Any:
        """What the files say at a place, interpolations as they stand."""
        value: Any = self.raw
        for part in path:
            value = value[part]
        return value

    def _noted(self, path: Path, error: BrokenError) -> BrokenError:
        self._broken.add(path)
        if error.fault is not None:
            given = str(self.written(path))
            shown = error.fault.given or (given if len(given) <= 80 else given[:77] + "...")
            fault = error.fault
            self.faults.append(Fault(shown_path(path), fault.message, fault.expected, shown, fault.nearest))
        return BrokenError(None)

    def _work_out(self, path: Path, written: Any) -> Sized:
        if isinstance(written, dict):
            parts = {key: self._part((*path, key)) for key in written}
            made: Any = {key: part.value for key, part in parts.items()}
            return Sized(made, self._checked(sum(part.size + len(str(key)) for key, part in parts.items())))
        if isinstance(written, list):
            items = [self._part((*path, i)) for i in range(len(written))]
            return Sized([item.value for item in items], self._checked(sum(item.size for item in items)))
        if isinstance(written, str) and "${" in written:
            return self._interpolated(path, written)
        return Sized(written, scalar_size(written))

    def _part(self, path: Path) -> Sized:
        # A part that cannot be worked out is noted, and its neighbours are looked at all the same.
        try:
            return self.at(path)
        except BrokenError as error:
            if error.fault is not None:
                raise
            return Sized(None, 0)

    def _checked(self, size: int) -> int:
        if size > MAX_ADDED:
            self._most = self._most or MAX_ADDED + written_size(self.raw)
            if size > self._most:
                raise BrokenError(
                    Fault("", "interpolations unfold too far", f"at most {MAX_ADDED} characters")
                )
        return size

    def _interpolated(self, path: Path, text: str) -> Sized:
        self._chain += 1
        try:
            if self._chain > MAX_CHAIN:
                expected = f"at most {MAX_CHAIN}, one after the other"
                raise BrokenError(Fault("", "interpolations lead too far", expected))
            simple = _SIMPLE.fullmatch(text)
            return self.look_up(simple[1], path) if simple else self._parsed(path, text)
        finally:
            self._chain -= 1

    def _parsed(self, path: Path, text: str, rule: str = "configValue", mode: str = "DEFAULT_MODE") -> Sized:
        from omegaconf.errors import OmegaConfBaseException
        from omegaconf.grammar_parser import parse
        from omegaconf.grammar_visitor import GrammarVisitor

        sizes = [0]

        def add(found: Sized) -> Any:
            sizes.append(found.size)
            self._checked(sum(sizes))
            return found.value

        def node(key: Any, _memo: object) -> Any:
            return add(self.look_up(getattr(key, "raw", key), path))  # a text, or a key of OmegaConf 2.4

        def resolver(name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
            del args_str
            self.foreign = self.foreign or name not in OWN
            self.environment = self.environment or name == "oc.env"
            return add(resolve(self, path, name, args))

        try:
            tree = parse(text, parser_rule=rule, lexer_mode=mode)
            value = GrammarVisitor(node, resolver, None).visit(tree)
        except OmegaConfBaseException as error:
            reason = (str(error).splitlines() or ["unknown"])[0][:120]
            fault = Fault("", "cannot be interpolated", "a key or a resolver", f"{text[:80]} ({reason})")
            raise BrokenError(fault) from None
        return Sized(value, len(text) + sum(sizes))

    def decoded(self, path: Path, text: str) -> Sized:
        """The value that a text stands for, as ``oc.decode`` has it."""
        return self._parsed(path, text, "singleElement", "VALUE_MODE")

    def look_up(self, key: str, asker: Path) -> Sized:
        """The value that a key leads to, from the place of the value that names it.

        Raises:
            BrokenError: there is none, or it is not set.
        """
        path, found, tail = self._walk(key, asker)
        self.reads.add(path)
        self.links.setdefault(asker, set()).add(path)
        if found == MISSING:
            expected = "--multirun: only jobs of a sweep have it" if path[0] == "hydra" else f"{key}=..."
            raise BrokenError(Fault("", f"needs {key}, which is not set", expected, MISSING))
        done = self.at(path)
        for part in tail:
            index = _index(done.value, part)
            if index is None:
                raise self._no_key(key, done.value, part)
            done = Sized(done.value[index], done.size)
        return done

    def _walk(self, key: str, asker: Path) -> tuple[Path, Any, list[str]]:
        """Where a key leads as far as it is written, what stands there, and what is left of the key."""
        dots = len(key) - len(key.lstrip("."))
        if dots > len(asker):
            raise BrokenError(Fault("", "interpolates a key that is not there", "a key"))
        path: Path = asker[: len(asker) - dots] if dots else ()
        parts = [part for part in re.split(r"[.\[\]]", key[dots:]) if part]
        here = self.written(path)
        while parts and isinstance(here, (dict, list)):
            index = _index(here, parts[0])
            if index is None:
                raise self._no_key(key, here, parts[0])
            path, here = (*path, index), here[index]
            parts.pop(0)
        return path, here, parts

    def target(self, path: Path) -> Any:
        """What a value is that only names others: the mapping written there, or the value worked out.

        Raises:
            BrokenError: it cannot be worked out.
        """
        written, seen = self.written(path), {path}
        while isinstance(written, str) and (simple := _SIMPLE.fullmatch(written)):
            path, written, tail = self._walk(simple[1], path)
            if tail or path in seen:
                break
            seen.add(path)
        return written if isinstance(written, dict) else self.at(path).value

    def _no_key(self, key: str, there: Any, part: str) -> BrokenError:
        names = [str(name) for name in there] if isinstance(there, dict) else []
        near = nearest(part, names)
        whole = key[: len(key) - len(part)] + near if near and key.endswith(part) else near
        expected = f"one of {listing(names)}" if names else "a key"
        return BrokenError(Fault("", "interpolates a key that is not there", expected, "", whole))


def shown_path(path: Path) -> str:
    """A place as it is written in messages: ``graph.nodes.a.params.by``."""
    return ".".join(str(part) for part in path) or "configuration"


def mentions(value: Any) -> set[Path]:
    """The places that interpolations anywhere in a value name, those of overridden values too."""
    return {tuple(key.split(".")) for text in _texts(value) for key in _MENTION.findall(text)}


def most_interpolations(value: Any) -> str:
    """A text in a value that holds more interpolations than may be; empty if none does."""
    return next((text for text in _texts(value) if text.count("${") > MAX_INTERPOLATIONS), "")


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that hold interpolations."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, str) and "${" in item:
            yield item


def _index(there: Any, part: str) -> Any:
    """The key or index by which a part of a path is found, None where it is not."""
    if isinstance(there, dict):
        found: Callable[[Any], Any] = lambda name: str(name) == part  # noqa: E731
        return part if part in there else next(filter(found, there), None)
    if isinstance(there, list) and re.fullmatch(r"\d{1,9}", part) and int(part) < len(there):
        return int(part)
    return None
