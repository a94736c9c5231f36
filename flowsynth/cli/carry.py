"""``flowsynth cache export GRAPH FILE`` and ``import FILE``: results carried from machine to machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.jobs import look, open_session, request
from flowsynth.core.errors import RequestError, listing
from flowsynth.core.readable import bytes_text

if TYPE_CHECKING:
    from flowsynth.api.carry import Carried

CARRYING = ("export", "import")
#: Where an import puts the files that a graph reads, below the current folder.
INPUTS = "inputs"


def carry(args: argparse.Namespace) -> int:
    """Write a graph's results into a file, or take such a file in.

    Returns:
        0, or 1 where something in the file was damaged.

    Raises:
        RequestError: a graph or a file that there is not, or nothing to write.
    """
    names = [word for word in args.overrides if "=" not in word]
    rest = [word for word in args.overrides if "=" in word]
    expected = ("GRAPH", "FILE") if args.action == "export" else ("FILE",)
    if len(names) != len(expected):
        given = " ".join(names) or "none"
        raise RequestError(f"cache {args.action}: expected {' and '.join(expected)}; given {given}")
    done = (_export if args.action == "export" else _import)(names, rest, args.with_inputs)
    if args.json:
        print(json.dumps({"file": names[-1], **asdict(done)}, indent=2))
    else:
        print("\n".join(_lines(done, names[-1])))
    return 1 if done.damaged else 0


def _export(names: list[str], overrides: list[str], with_inputs: bool) -> Carried:
    from flowsynth.api.carry import export

    name, file = names
    composition, graph = request([f"graph={name}", *overrides])
    with look(composition.settings) as session:
        return export(session, session.plan(graph), Path(file), with_inputs)


def _import(names: list[str], overrides: list[str], with_inputs: bool) -> Carried:
    from flowsynth.api.carry import import_file
    from flowsynth.config.settings import parse_settings

    given = dict(word.split("=", 1) for word in overrides)
    wrong = next((key for key in given if key not in ("cache.dir", "cache.max_bytes")), None)
    if wrong is not None:
        raise RequestError(f"cache import: expected cache.dir=PATH or cache.max_bytes=SIZE; given {wrong!r}")
    settings = parse_settings({"cache": {key.partition(".")[2]: value for key, value in given.items()}})
    file = Path(names[0])
    if not file.is_file():
        raise RequestError(f"cache import: no such file; expected one of 'cache export'; given {names[0]!r}")
    with open_session(settings) as session:
        return import_file(session, file, Path(INPUTS) if with_inputs else None)


def _lines(done: Carried, file: str) -> list[str]:
    lines = [f"damaged, not taken: {name}" for name in done.damaged]
    if done.missing:
        lines.append(f"not in the cache: {listing(done.missing)}")
    lines += [f"input: {name}" for name in done.inputs]
    return [*lines, f"{file}: {done.rows} results, {done.objects} objects, {bytes_text(done.nbytes)}"]
