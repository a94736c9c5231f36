"""``flowsynth run --multirun``: every job of a sweep, one after the other, on one cache."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.jobs import outcome, output_folder, request, run_one, session_of, shown
from flowsynth.core.errors import FlowsynthError, RequestError, RunError

if TYPE_CHECKING:
    from flowsynth.api import Graph, Session
    from flowsynth.config import Composition


def run_sweep(args: argparse.Namespace) -> int:
    """Run all jobs; a job that fails does not stop the others.

    Returns:
        0 if all went well.

    Raises:
        RequestError: the overrides cannot be read, no job's request is right, or nothing can be written to
            the output folder.
        RunError: some jobs failed; says which.
    """
    from flowsynth.config import sweep

    jobs = sweep(args.overrides)
    requests = [_request(job) for job in jobs]
    composed = [made for made in requests if not isinstance(made, RequestError)]
    if not composed:
        raise next(made for made in requests if isinstance(made, RequestError))
    rows: list[dict[str, Any]] = []
    with output_folder(composed[0][0]) as base, Sessions() as sessions:
        for index, (job, made) in enumerate(zip(jobs, requests, strict=True)):
            rows.append(_job(index, job, made, base / str(index), sessions, args))
            _write(base / "sweep.json", rows)
    return _finish(rows, base, args)


class Sessions:
    """One session for all jobs that agree on cache and device, so that loaded models stay loaded."""

    def __init__(self) -> None:
        self._open: dict[tuple[object, ...], Session] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Sessions:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close all sessions."""
        self._stack.close()

    def of(self, composition: Composition) -> Session:
        """The session for a job."""
        settings = composition.settings
        key = (settings.cache.dir, settings.cache.max_bytes, settings.device, settings.offline)
        if key not in self._open:
            self._open[key] = self._stack.enter_context(session_of(composition))
        return self._open[key]


def _request(job: list[str]) -> tuple[Composition, Graph] | RequestError:
    try:
        return request(job)
    except RequestError as error:
        return error


def _job(
    index: int,
    job: list[str],
    made: tuple[Composition, Graph] | RequestError,
    folder: Path,
    sessions: Sessions,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Run one job; what became of it."""
    row: dict[str, Any] = {"job": index, "overrides": job, "status": "failed", "folder": folder.name}
    if not args.quiet:
        print(f"[{index}] {' '.join(job)}", file=sys.stderr)
    try:
        if isinstance(made, RequestError):
            raise made
        composition, graph = made
        run = run_one(graph, composition, sessions.of(composition), folder, args)
    except FlowsynthError as error:
        print(f"flowsynth: [{index}] {error}", file=sys.stderr)
        return {**row, "errors": [str(error)]}
    tasks = [node.tasks for node in run.record.nodes.values()]
    for text in run.record.errors:
        print(f"flowsynth: [{index}] {text}", file=sys.stderr)
    if not args.json:
        for line in outcome(run):
            print(f"[{index}] {line}")
    return {
        **row,
        "status": run.record.status,
        "outputs": run.record.outputs,
        "tasks": {"hit": sum(t.hit for t in tasks), "computed": sum(t.computed for t in tasks)},
        "seconds": run.record.seconds,
        "errors": run.record.errors,
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    from flowsynth.api.outputs import write_atomic

    write_atomic(path, (json.dumps({"jobs": rows}, indent=2, ensure_ascii=False) + "\n").encode())


def _finish(rows: list[dict[str, Any]], base: Path, args: argparse.Namespace) -> int:
    failed = [str(row["job"]) for row in rows if row["status"] == "failed"]
    if args.json:
        print(json.dumps({"jobs": rows, "folder": str(base)}, indent=2, ensure_ascii=False))
    else:
        print(shown(base / "sweep.json"))
    if failed:
        raise RunError(f"{len(failed)} of {len(rows)} jobs failed: {', '.join(failed)}")
    return 0
