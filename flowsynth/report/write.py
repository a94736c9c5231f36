"""Writes the page of a run or a sweep: one file, or a zip with what is too large to be in it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.api.outputs import write_atomic
from flowsynth.cache.platform import remove_file, temp_name
from flowsynth.core.errors import RequestError, RunError
from flowsynth.core.read_record import read_record, record_file
from flowsynth.core.record import RunRecord, SweepRecord
from flowsynth.report.collect import run_page
from flowsynth.report.media import Shelf
from flowsynth.report.render import render
from flowsynth.report.sweep import sweep_page

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: The name of a page in the folder of what it shows.
NAME = "report.html"


def write_report(given: Path, cache: Cache | None, target: Path | None = None) -> Path:
    """Write a page.

    Args:
        given: the folder of a run or a sweep, or its record.
        cache: what a run was made with, if that is there.
        target: the page, or a zip; `report.html` beside the record unless given.

    Returns:
        The file that was written.

    Raises:
        RequestError: no such run or sweep, or a file of another kind.
        RunError: it cannot be written.
    """
    file = record_file(given)
    if file is None or not file.is_file():
        raise RequestError(f"{given}: expected the folder of a run or a sweep, or its run.json or sweep.json")
    target = (file.parent / NAME if target is None else target).absolute()
    if target.suffix.lower() not in (".html", ".htm", ".zip"):
        raise RequestError(f"-o: expected a file named *.html or *.zip; given {str(target.name)!r}")
    return page_of(read_record(file), file.parent.absolute(), cache, target)


def page_of(record: RunRecord | SweepRecord, folder: Path, cache: Cache | None, target: Path) -> Path:
    """Write the page of a record; see `write_report`."""
    packed = target.suffix.lower() == ".zip"
    shelf = Shelf(None if packed else target.parent, target.stem)
    if isinstance(record, RunRecord):
        page = run_page(record, folder, cache, shelf)
        text = render(page, linked=shelf.linked > 0)
    else:
        text = render(sweep_page(record, folder, shelf), linked=shelf.linked > 0)
    data = text.encode("utf-8", "replace")
    if packed:
        _pack(target, data, shelf)
        return target
    for place, source in shelf.carried.items():
        _carry(source, target.parent / place)
    write_atomic(target, data)
    return target


def _carry(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from error


def _pack(target: Path, page: bytes, shelf: Shelf) -> None:
    """A zip with the page, and the files that it shows stored as they are."""
    temporary = target.with_name(f".{target.name}.{temp_name()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(temporary, "x") as archive:
            archive.writestr(f"{target.stem}.html", page, zipfile.ZIP_DEFLATED)
            for place, source in shelf.carried.items():
                archive.write(source, place, zipfile.ZIP_STORED)
        temporary.replace(target)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        remove_file(temporary)
