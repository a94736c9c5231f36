"""Overrides in Hydra's grammar, with messages of our own."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import version
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep, ValueType
from hydra.errors import HydraException

from flowsynth.config.doors import INSTEAD, key_fault
from flowsynth.config.hydra_sweep import add_zip, quoted, seeds_line
from flowsynth.config.plugins import LAUNCHER, SAMPLER, SWEEPER
from flowsynth.config.words import meant
from flowsynth.core.errors import Fault, GraphError, listing
from flowsynth.core.yaml_text import CODE_KEYS

#: Keys whose values are texts that people type with commas, brackets and apostrophes in them.
_TEXT_KEY = re.compile(
    r"^hydra\.sweeper\.params\.|(^|[._])(prompt|text|video|image|path|file|(sub|output_)?dir|source)$"
)
#: What Hydra takes for a key: names with dots, a group with slashes, a package after @.
_KEY = re.compile(r"(\+\+?|~)?[A-Za-z_$][\w$-]*([./][\w$-]+)*(@[\w.]+)?", re.ASCII)
#: A text in quotes from its first character to its last.
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
#: The beginning of a mapping: a prompt that travels, a model's source.
_MAPPING = re.compile(r"\{\s*['\"\w]+\s*:")
#: Hydra's own groups from which something can be chosen.
GROUPS = (LAUNCHER, SWEEPER, SAMPLER)
#: Jobs of one sweep: a slip of the pen asks for more.
MAX_JOBS = 100_000
_GRAMMAR = "KEY=VALUE, such as prompt='oil painting' or graph.nodes.denoise.params.seed=3"


@contextmanager
def hydra_version() -> Iterator[None]:
    """Hydra's behaviour as of 1.3, put back as it was for whatever else in the process uses Hydra."""
    instance = version.VersionBase.instance()
    before = instance.version_base
    instance.version_base = version._get_version("1.3")  # whatever type it is in the Hydra that is installed
    try:
        yield
    finally:
        instance.version_base = before


def parse_overrides(
    lines: Sequence[str], sweeping: bool, options: Any = None, counted: bool = True
) -> list[Override]:
    """Parse overrides; all faults at once.

    In a single run the value of a text key (a prompt, a path) that is not quoted, not an interpolation and
    not a mapping is taken as it stands, so that ``prompt=oil painting, sea`` is one prompt.

    Args:
        lines: the overrides as typed.
        sweeping: whether several values a key are wanted.
        options: answers `get_group_options`, for ``glob``.
        counted: whether every sweep has to have so many values, as none of an interval has.

    Raises:
        GraphError: what cannot be read, or a sweep where one run is wanted.
    """
    parser, found = OverridesParser.create(options), list[Override]()
    faults: list[Fault] = []
    add_zip(parser)
    for given, words in _with_stray_words(lines):
        line = seeds_line(given, faults) if sweeping else given
        override, fault = (
            _parse(parser, line, sweeping, counted) if not words else (None, _stray(line, words))
        )
        if override is not None:
            found.append(override)
        if fault is not None:
            faults.append(fault)
    if faults:
        raise GraphError(faults, "overrides")
    return found


def _with_stray_words(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Every override with the words after it that are none: what a shell makes of a text without quotes."""
    groups: list[tuple[str, list[str]]] = []
    for text in lines:
        if groups and "=" in groups[-1][0] and text.strip() and "=" not in text and text[0] != "~":
            groups[-1][1].append(text)
        else:
            groups.append((text, []))
    return groups


def _stray(line: str, words: list[str]) -> Fault:
    whole = " ".join([line, *words])
    expected = f"KEY=VALUE, or quotes around all of it: {shlex.quote(whole)}"
    return Fault(line.partition("=")[0], "words after it", expected, repr(" ".join(words)))


def _parse(
    parser: OverridesParser, line: str, sweeping: bool, counted: bool
) -> tuple[Override | None, Fault | None]:
    key, equals, text = line.partition("=")
    if (not equals and not line.startswith("~")) or not key.strip("+~ "):
        near = meant(line) if line.strip() else ""
        return None, Fault(line.strip() or "an empty text", "not an override", _GRAMMAR, repr(line), near)
    if not _KEY.fullmatch(key):
        return None, Fault(
            key, "not a key", "names of letters, digits, _ and - with dots between", repr(line)
        )
    if key.lstrip("+~").startswith("graph.nodes."):
        # A stage's node as plans and records name it: finish/upscale is finish.nodes.upscale in the file.
        key = key.replace("/", ".nodes.")
        line = f"{key}{equals}{text}"
    if not sweeping and _TEXT_KEY.search(key) and _is_plain(text):
        line = f"{key}={quoted(text)}"
    try:
        override = parser.parse_overrides([line])[0]
    except (HydraException, ValueError, AssertionError) as error:
        return None, Fault(key, "cannot be read", _quotes(key, text), f"{line!r} ({_reason(error, text)})")
    except RecursionError:
        return None, Fault(key, "cannot be read", "fewer brackets in brackets", repr(line[:80]))
    return override, _misuse(override, line, sweeping, counted)


def _misuse(override: Override, line: str, sweeping: bool, counted: bool) -> Fault | None:
    key = override.key_or_group
    if override.is_hydra_override() and (fault := _hydra_fault(override, line)) is not None:
        return fault
    if named := CODE_KEYS.intersection(key.split(".")):
        return Fault(key, "code in an override", "an operator's name under 'op'", min(named))
    if override.is_sweep_override() and not sweeping:
        value = line.partition("=")[2]
        if override.is_hydra_override():
            expected = "one value: it is said of the sweep as a whole"
        elif override.value_type == ValueType.SIMPLE_CHOICE_SWEEP:
            expected = f"one value, a list {key}=[{value}], a text {key}='\"{value}\"', or --multirun"
        else:
            expected = "one value, or --multirun"
        return Fault(key, "several values", expected, repr(value))
    if counted and override.is_sweep_override() and not override.is_discrete_sweep():
        return Fault(key, "a sweep that cannot be counted", "choices or range(...)", repr(line))
    return None


def _hydra_fault(override: Override, line: str) -> Fault | None:
    """A key or a group of Hydra's own that is not honoured here."""
    key = override.key_or_group
    if key in GROUPS:
        return None
    if "/" in key and key.partition("/")[2] not in INSTEAD:
        return Fault(key, "not used here", f"one of {listing(GROUPS)}", repr(line))
    return key_fault(key.replace("/", ".").removeprefix("hydra."), repr(line))


def require_jobs(overrides: Sequence[Override]) -> None:
    """See that a sweep comes to some jobs, and to no more than can be held.

    Raises:
        GraphError: a choice without values, or too many jobs.
    """
    faults, jobs = [], 1
    for override in overrides:
        if not override.is_sweep_override():
            continue
        key, line, count = override.key_or_group, str(override.input_line), _count(override)
        if count is None:
            faults.append(Fault(key, "a range that goes nowhere", "a step other than 0", repr(line)))
        elif not count:
            faults.append(Fault(key, "a sweep without values", "one value or more", repr(line)))
        else:
            jobs *= count
        if jobs > MAX_JOBS:
            faults.append(Fault(key, f"comes to {jobs} jobs", f"at most {MAX_JOBS}", repr(line)))
            break
    if faults:
        raise GraphError(faults, "--multirun")


def _count(override: Override) -> int | None:
    """How many values a sweep of one key has; None of a range that never ends."""
    value = override.value()
    if not isinstance(value, RangeSweep):
        return sum(1 for _ in override.sweep_iterator())
    start, stop, step = (float(part or 0) for part in (value.start, value.stop, value.step))
    if not step or not all(map(math.isfinite, (start, stop, step))):
        return None
    return max(math.ceil((stop - start) / step), 0)


def _is_plain(text: str) -> bool:
    stripped = text.strip()
    special = _QUOTED.fullmatch(stripped) or _MAPPING.match(stripped) or "${" in text
    return bool(stripped) and stripped != "null" and not special


def _quotes(key: str, text: str) -> str:
    if not text or len(text) > 80:
        return _GRAMMAR
    return f"KEY=VALUE, and a text in quotes: {key}={quoted(text)}"


def _reason(error: Exception, text: str) -> str:
    said = [part.strip() for part in str(error).splitlines() if part.strip() and "hydra.cc" not in part]
    if evaluated := [part for part in said if "while evaluating" in part]:
        return evaluated[0].partition(": ")[2][:120]
    bare = _QUOTED.sub("", text)
    if "'" in bare or '"' in bare:
        return "a quote that is not closed"
    for opening, closing in ("[]", "{}", "()"):
        if bare.count(opening) != bare.count(closing):
            there, missing = (opening, closing) if opening in bare else (closing, opening)
            return f"{there!r} without {missing!r}"
    return "a character, or a quote, that needs quotes around the whole"
