"""All that is known of a class's code: its source, live values that differ from it, and what stays unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowsynth.core.canonical import digest_json
from flowsynth.core.exact import NoFormError
from flowsynth.core.fingerprint.forms import Forms
from flowsynth.core.fingerprint.live import Look, NotComparedError
from flowsynth.core.fingerprint.loaded import NoSource, SavedLater
from flowsynth.core.fingerprint.memo import FingerprintMemo
from flowsynth.core.fingerprint.reach import Walk
from flowsynth.core.fingerprint.source import own_names, roots_of, source_entry


@dataclass(frozen=True, slots=True)
class ClassSource:
    """What a class's code is.

    Attributes:
        fingerprint: its hash.
        notes: what a user should know: why nothing is kept, or what no walk can see.
        kept: whether results may be kept under it.
    """

    fingerprint: str
    notes: tuple[str, ...] = ()
    kept: bool = True


def class_source(
    cls: type,
    *,
    uses: Sequence[object] = (),
    declares_files: bool = False,
    memo: FingerprintMemo | None = None,
) -> ClassSource:
    """The code of a class as it is in this process.

    Args:
        cls: an operator, or the class of an object among params.
        uses: as in `source_fingerprint`.
        declares_files: it says which files it reads, so that nobody need be told of ``open(``.
        memo: as in `source_fingerprint`.

    Raises:
        LookupError: a text in `uses` names nothing.
    """
    memo = FingerprintMemo() if memo is None else memo
    try:
        return _with_file(cls, uses, declares_files, memo)
    except (SavedLater, NotComparedError) as error:
        return ClassSource("", (f"its results are not kept: {error}",), kept=False)
    except NoSource as error:
        return _without_file(cls, uses, memo, error)


def _with_file(cls: type, uses: Sequence[object], declares_files: bool, memo: FingerprintMemo) -> ClassSource:
    entry = source_entry(cls, uses, memo)
    if all(label.startswith("flowsynth.") for label in entry.parts):
        return ClassSource(entry.fingerprint)
    roots = roots_of(cls, memo.finder)
    look = Look(Walk(memo.finder, memo.reader, own_names(roots)), roots)
    look.at(entry.parts)
    notes = () if uses else _notes(look.unseen, declares_files)
    if not look.parts:
        return ClassSource(entry.fingerprint, notes)
    return ClassSource(digest_json([entry.fingerprint, dict(sorted(look.parts.items()))]), notes)


_FILES = frozenset({"open(", "read_text(", "read_bytes("})


def _notes(unseen: dict[str, list[str]], declares_files: bool) -> tuple[str, ...]:
    found = []
    for what, labels in sorted(unseen.items()):
        if what in _FILES and declares_files:
            continue
        how = "declare the file with files()" if what in _FILES else "name what it leads to in uses"
        found.append(f"{labels[0]}: what {what} gives is not part of the key; {how}, or raise version")
    return tuple(found)


def _without_file(cls: type, uses: Sequence[object], memo: FingerprintMemo, reason: NoSource) -> ClassSource:
    """A class from a notebook, a prompt or an executed text: by its bytecode and what that reads."""
    walk = Walk(memo.finder, memo.reader, frozenset())
    forms = Forms(walk)
    try:
        form = forms.bare_class(cls, cls.__qualname__, 0)
        used = [forms.form(use, "uses", 0) for use in uses]
        look = Look(walk, ())
        for label in sorted(forms.asked):
            walk.reach(*label.split(":", 1))
        for name, index in sorted(forms.statements):
            walk.reach_statement(name, index)
        look.at(walk.parts)
    except (NoFormError, NoSource, NotComparedError) as error:
        return ClassSource("", (f"its results are not kept: {reason}; and {error}",), kept=False)
    return ClassSource(digest_json([form, used, walk.parts, look.parts]))
