"""``flowsynth list [KIND]``: what can be asked for by name, with a line about each."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flowsynth.cli.options import command_parser

#: Kind -> how it is asked for.
_KINDS = {
    "graphs": "graph=NAME",
    "experiments": "experiment=NAME",
    "models": "model=NAME",
    "operators": "op: NAME",
}


def parser() -> argparse.ArgumentParser:
    """The options of `list`."""
    made = command_parser(
        "list",
        "Say what can be asked for by name, a line each; without a kind the names of every kind. What lies "
        "in graphs/ and conf/ of the current folder comes before what is shipped.",
        "print it as JSON",
    )
    made.add_argument("kind", nargs="?", choices=list(_KINDS), metavar="KIND", help=", ".join(_KINDS))
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the list that was asked for."""
    if args.kind is None:
        return _overview(args.json)
    rows = _rows(args.kind)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['summary']}{_origin(row)}".rstrip())
    if not rows:
        print(f"no {args.kind}")
    return 0


def _overview(as_json: bool) -> int:
    found = {kind: _names(kind) for kind in _KINDS}
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for kind, names in found.items():
        print(f"{kind} ({_KINDS[kind]}): {', '.join(names) or 'none'}")
    print("'flowsynth list KIND' says a line about each")
    return 0


def _names(kind: str) -> list[str]:
    from flowsynth.config.catalogue import names
    from flowsynth.core.registry import operator_names

    return operator_names() if kind == "operators" else names(kind)


def _rows(kind: str) -> list[dict[str, Any]]:
    return _operators() if kind == "operators" else _files(kind)


def _files(kind: str) -> list[dict[str, Any]]:
    from flowsynth.config.catalogue import entries

    return [
        {"name": name, "summary": summary, "file": _shown(path), "own": own}
        for name, summary, path, own in entries(kind)
    ]


def _operators() -> list[dict[str, Any]]:
    from flowsynth.cli.reference import summary
    from flowsynth.core.registry import usable_operators
    from flowsynth.core.shipped import shipped_modules

    classes, unusable = usable_operators()
    for reason in unusable:
        print(f"note: {reason}", file=sys.stderr)
    shipped = shipped_modules()
    return [
        {"name": cls.op, "summary": summary(cls), "module": cls.__module__, "own": cls.op not in shipped}
        for cls in classes
    ]


def _origin(row: dict[str, Any]) -> str:
    """Where something is from that is not shipped."""
    return f"  ({row.get('file') or row['module']})" if row["own"] else ""


def _shown(path: Path) -> str:
    from flowsynth.cli.jobs import shown

    return shown(path)
