"""A graph's results as one file, carried from the cache of one machine to that of another."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsynth.api.outputs import require_folder, write_atomic
from flowsynth.api.session import Session
from flowsynth.cache.errors import FormatError, write_error
from flowsynth.cache.objects import open_regular
from flowsynth.cache.platform import remove_file, replace_file, temp_name
from flowsynth.cache.remote import SharedCache
from flowsynth.cache.remote.archive import INPUT, LIST, Archive
from flowsynth.cache.remote.letter import sealed
from flowsynth.cache.remote.place import MARK, object_name, row_name
from flowsynth.cache.remote.tier import MARK_TEXT, Remote
from flowsynth.core.errors import InputError, RequestError
from flowsynth.core.refs import objects_of
from flowsynth.core.streams import Source
from flowsynth.executors.forecast import probe_key
from flowsynth.planning.plan import Plan
from flowsynth.planning.step import Step


@dataclass(slots=True)
class Carried:
    """What an export wrote or an import took.

    Attributes:
        rows: results.
        objects: values.
        nbytes: bytes of the file.
        missing: nodes without a result in the cache.
        inputs: files that the graph reads.
        damaged: what was found damaged, and not taken.
    """

    rows: int = 0
    objects: int = 0
    nbytes: int = 0
    missing: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def export(session: Session, plan: Plan, file: Path, with_inputs: bool = False) -> Carried:
    """Write the rows that a plan reads, and the objects that a run of it would open, into a file.

    Args:
        session: with the cache.
        plan: of the graph.
        file: where to; it appears when it is whole, in the place of what was there.
        with_inputs: the files that parameters name, too; weights are not among them.

    Raises:
        RequestError: nothing of the graph is in the cache, or nothing can be written there.
        RunError: the disk is full.
    """
    done = Carried(missing=[step.name for step in plan.steps.values() if step.outputs is None])
    if len(done.missing) == len(plan.steps):
        name = plan.graph.name
        raise RequestError(f"{name}: nothing of it is in the cache {session.root}; expected a run of it")
    require_folder(file.absolute().parent)
    temp = file.with_name(temp_name())
    try:
        try:
            with temp.open("xb") as target:
                archive = Archive(target, file, write=True)
                _fill(archive, session, plan, done)
                if with_inputs:
                    done.inputs = _add_inputs(archive, session, plan)
                archive.close()
            done.nbytes = temp.stat().st_size
            replace_file(temp, file)
        finally:
            remove_file(temp)
    except OSError as error:
        raise write_error(error, file, 0) from error
    return done


def _fill(archive: Archive, session: Session, plan: Plan, done: Carried) -> None:
    archive.put(MARK, MARK_TEXT)
    for step in plan.steps.values():
        if _is_opened(step, plan):
            done.objects += sum(_add_object(archive, session, name) for name in _objects(step))
    for key, row in _rows(session, plan).items():
        name = row_name(key)
        if name is not None:
            archive.put(name, sealed(key, row))
            done.rows += name.startswith("rows/")


def _is_opened(step: Step, plan: Plan) -> bool:
    """Whether a run would open what a step gave: to deliver it, or to make something else of it."""
    return bool(step.wanted) or any(plan.steps[reader].executes for reader in step.readers)


def _objects(step: Step) -> Iterator[str]:
    return (name for ref in (step.outputs or {}).values() for name in objects_of(ref))


def _add_object(archive: Archive, session: Session, key: str) -> bool:
    name = object_name(key)
    if name is None or session.cache.get_object(key) is None:
        return False
    data = session.cache.objects.file_bytes(key)
    if data is None:
        return False
    archive.put(name, data)
    return True


def _rows(session: Session, plan: Plan) -> dict[str, bytes]:
    keys = {step.name: step.key for step in plan.steps.values() if step.outputs is not None}
    probes = [probe_key(step) for step in plan.steps.values() if isinstance(step.kind, Source) and step.kept]
    return {plan.row: json.dumps(keys).encode(), **session.lookup_many([*keys.values(), *probes])}


def _add_inputs(archive: Archive, session: Session, plan: Plan) -> list[str]:
    """The files that operators name by their parameters, but for those that are had by name anywhere."""
    found: dict[Path, None] = {}
    for step in plan.steps.values():
        found.update(dict.fromkeys(step.operator.files(session.context(step.name, "cpu")).values()))
    package, here = Path(__file__).parents[1], Path.cwd()
    names: list[str] = []
    for path in (path.absolute() for path in found):
        if not any(path.is_relative_to(folder) for folder in (session.root, package)):
            archive.put(f"{INPUT}{len(names)}", path.read_bytes())
            names.append(path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name)
    archive.put(LIST, json.dumps(names).encode())
    return names


def import_file(session: Session, file: Path, inputs: Path | None = None) -> Carried:
    """Take what a file of `export` holds into the cache; what is there already stays as it is.

    Args:
        session: with the cache.
        file: the file.
        inputs: the folder that files go into which the graph reads; they are left unless given.

    Raises:
        InputError: it is no such file.
        RunError: the disk is full.
    """
    try:
        fd = open_regular(str(file))
    except (OSError, FormatError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{file}: expected a file of 'flowsynth cache export'; {reason}") from None
    with os.fdopen(fd, "rb") as opened:
        archive = Archive(opened, file)
        remote = Remote(archive, str(file))
        remote.begin(read_only=True)
        done = Carried(nbytes=file.stat().st_size)
        _take(archive, remote, session, done)
        if inputs is not None:
            _take_inputs(archive, inputs, done)
    done.damaged += sorted(remote.damaged)
    return done


def _take(archive: Archive, remote: Remote, session: Session, done: Carried) -> None:
    """Have rows and objects land as those of any place; objects first, since rows speak of them."""
    remote.denied = "it is only read"
    with SharedCache(session.root, remote, max_bytes=session.cache.max_bytes) as cache:
        objects, rows, graphs = (
            [Path(name).name for name in archive.names(f"{kind}/")] for kind in ("objects", "rows", "graphs")
        )
        cache.fetch(objects)
        done.objects = sum(cache.objects.has(key) for key in objects)
        done.rows = len(cache.lookup_many(rows))
        cache.lookup_many([f"graph:{key}" for key in graphs])


def _take_inputs(archive: Archive, folder: Path, done: Carried) -> None:
    """Write the files that the graph reads, all into one folder, and none over another."""
    for number, name in enumerate(_listed(archive, done)):
        target, data = folder / name, _read(archive, f"{INPUT}{number}")
        inside = target.resolve().is_relative_to(folder.resolve())  # no link leads elsewhere
        if data is None or not inside:
            done.damaged.append(f"{INPUT}{number}")
        elif target.exists() and (not target.is_file() or target.read_bytes() != data):
            done.damaged.append(f"{target} (another file is there)")
        else:
            write_atomic(target, data)
            done.inputs.append(str(target))


def _listed(archive: Archive, done: Carried) -> list[str]:
    """Names of the files that the graph reads, as far as they are proper ones."""
    text = _read(archive, LIST)
    try:
        names: Any = [] if text is None else json.loads(text)
    except ValueError:
        names = None
    if isinstance(names, list) and all(isinstance(name, str) and _is_plain(name) for name in names):
        return names
    done.damaged.append(LIST)
    return []


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return all(part.isprintable() and part.strip(". ") and not set(part) & set('\\:*?"<>|') for part in parts)


def _read(archive: Archive, name: str) -> bytes | None:
    got = archive.get(name)
    try:
        return None if got is None else b"".join(got.parts)
    except FormatError:
        return None
