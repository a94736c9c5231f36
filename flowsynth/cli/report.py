"""``flowsynth report RUN|SWEEP``: a page that shows it, for a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.jobs import shown
from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import RequestError, RunError

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache


def parser() -> argparse.ArgumentParser:
    """The options of `report`."""
    made = command_parser("report", "Write a page that shows a run or a sweep; it needs no network.")
    made.add_argument(
        "run", metavar="RUN|SWEEP", type=file_name, help="its folder, or its run.json or sweep.json"
    )
    made.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="FILE.html, or FILE.zip with files too large for a page; report.html in its folder by default",
    )
    made.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="cache.dir=PATH",
        help="the cache that it was run with, for pictures of its nodes; known from its command otherwise",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Write the page and print its path."""
    from flowsynth.report.write import write_report

    given = Path(args.run)
    with ExitStack() as stack:
        cache = _cache(_named(args.overrides) or _remembered(given))
        if cache is not None:
            stack.enter_context(cache)
        print(shown(write_report(given, cache, args.output)))
    return 0


def add_report(folder: Path, cache: Cache | None) -> None:
    """Write the page that `report=true` asks for, and say where; a run is none the worse without."""
    from flowsynth.report.write import write_report

    try:
        print(f"report: {shown(write_report(folder, cache))}", file=sys.stderr)
    except RunError as error:
        print(f"note: report: {error}", file=sys.stderr)


def _named(overrides: Sequence[str]) -> str | None:
    for text in overrides:
        key, equals, value = text.partition("=")
        if key != "cache.dir" or not equals or not value:
            raise RequestError(f"report: expected cache.dir=PATH; given {text!r}")
        if not Path(value).expanduser().is_dir():
            raise RequestError(f"cache.dir: no such folder; expected the cache of the run; given {value!r}")
    return overrides[-1].partition("=")[2] if overrides else None


def _remembered(given: Path) -> str | None:
    """The cache that the command of a run named."""
    from flowsynth.core.read_record import read_record, record_file
    from flowsynth.core.record import RunRecord

    file = record_file(given)
    record = read_record(file) if file is not None and file.is_file() else None
    lines = record.request.overrides if isinstance(record, RunRecord) else []
    return next((line.partition("=")[2] for line in reversed(lines) if line.startswith("cache.dir=")), None)


def _cache(named: str | None) -> Cache | None:
    """The cache, where there is one; pictures that are made now are kept in it."""
    from flowsynth.cache import Cache
    from flowsynth.config.settings import cache_folder

    folder = cache_folder(named)
    return Cache(folder) if (folder / "index").is_dir() else None
