"""``flowsynth weights list|fetch|verify NAME...``: trained weights by name and checksum."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.options import command_parser
from flowsynth.cli.terminal import bare
from flowsynth.config.settings import cache_folder
from flowsynth.core.errors import RequestError
from flowsynth.core.readable import bytes_text
from flowsynth.weights.catalogue import Weights, catalogue, find_weights, weights_path
from flowsynth.weights.store import fetch_weights, is_sound

if TYPE_CHECKING:
    from flowsynth.fetch.archive import Progress

_ALL = "all"


def parser() -> argparse.ArgumentParser:
    """The options of `weights`."""
    made = command_parser("weights", "Trained weights by name and checksum.", "print the same as JSON")
    made.add_argument(
        "action",
        choices=("list", "fetch", "verify"),
        help="list: what there is, and what is kept; fetch: download, check, convert and keep; "
        "verify: compare what is kept with the catalogue, bit by bit (exit code 1 if anything differs)",
    )
    made.add_argument(
        "names",
        nargs="*",
        default=[],
        metavar="NAME",
        help=f"names that 'list' prints, or {_ALL!r}; and cache.dir=PATH, offline=true",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """List, fetch or verify."""
    settings = dict(_setting(text) for text in args.names if "=" in text)
    folder = cache_folder(settings.get("cache.dir"))
    offline = settings.get("offline", "false") == "true"
    entries = _entries([name for name in args.names if "=" not in name], args.action)
    if args.action == "fetch":
        rows = [_fetch(entry, folder, offline, args.json) for entry in entries]
        lines = [f"{row['name']}: {row['path']} ({bytes_text(row['bytes'])})" for row in rows]
    elif args.action == "verify":
        rows = [{"name": entry.name, "state": _state(entry, folder)} for entry in entries]
        lines = [f"{row['name']}: {row['state']}" for row in rows]
    else:
        rows = [_described(entry, folder) for entry in entries]
        lines = [line for entry, row in zip(entries, rows, strict=True) for line in _listed(entry, row)]
    print(json.dumps(rows, indent=2) if args.json else "\n".join(lines))
    return int(args.action == "verify" and any(row["state"] != "sound" for row in rows))


def _setting(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if key == "cache.dir" or (key == "offline" and value in ("true", "false")):
        return key, value
    raise RequestError(f"weights: expected cache.dir=PATH or offline=true|false; given {text!r}")


def _entries(names: list[str], action: str) -> list[Weights]:
    if not names and action == "fetch":
        raise RequestError(f"weights fetch: expected names, or {_ALL!r}; 'flowsynth weights list' shows them")
    if not names or names == [_ALL]:
        return list(catalogue().values())
    return [find_weights(name) for name in names]


def _state(entry: Weights, folder: Path) -> str:
    if not weights_path(entry, folder).is_file():
        return "not fetched"
    return "sound" if is_sound(entry, folder) else "damaged; it will be fetched again when needed"


def _described(entry: Weights, folder: Path) -> dict[str, Any]:
    path = weights_path(entry, folder)
    return {
        "name": entry.name,
        "about": entry.about,
        "licence": entry.licence,
        "bytes": entry.size,
        "sources": [str(source) for source in entry.places],
        "path": str(path) if path.is_file() else None,
    }


def _listed(entry: Weights, row: dict[str, Any]) -> list[str]:
    where = row["path"] or "not fetched"
    terms = f"{entry.licence}; {bytes_text(entry.size)}; {', '.join(row['sources'])}"
    return [entry.name, f"    {entry.about}", f"    {terms}", f"    {where}"]


def _fetch(entry: Weights, folder: Path, offline: bool, quiet: bool) -> dict[str, Any]:
    with _bar(entry.name, quiet) as progress:
        path = fetch_weights(entry.name, folder, offline=offline, progress=progress)
    return {"name": entry.name, "path": str(path), "bytes": path.stat().st_size}


@contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar on standard error, where that is a terminal."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=bare(sys.stderr))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
