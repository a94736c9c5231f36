"""``flowsynth run``: run a graph, or a sweep of runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.cli.progress import watching

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, Session
    from flowsynth.config import Composition, Settings


def parser() -> argparse.ArgumentParser:
    """The options of `run`."""
    made = command_parser(
        "run",
        "Run a graph: what the cache holds is taken from there, the rest is computed. The last line printed "
        "is the path of the main output.",
        "print the record (run.json) as JSON instead of the output's path",
    )
    made.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="run every combination of comma lists, range(...) and glob(...) in the overrides",
    )
    made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    made.add_argument(
        "--outputs", metavar="NODE", nargs="+", help="deliver these nodes instead of the graph's outputs"
    )
    made.add_argument("--debug", action="store_true", help="put tracebacks into the record of failed nodes")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Run what was asked for."""
    if args.multirun:
        from flowsynth.cli.sweep import run_sweep

        return run_sweep(args)
    composition, graph = request(args.overrides)
    with session_of(composition) as session:
        run = run_one(graph, composition, session, output_folder(composition), args)
    for note in run.record.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(run.record.to_json(), end="")
    else:
        for line in outcome(run):
            print(line)
    if run.record.status == "failed":
        from flowsynth.api import RunFailedError

        raise RunFailedError(run)
    return 0


def request(overrides: Sequence[str]) -> tuple[Composition, Graph]:
    """What overrides ask for, and the graph built of it; nothing is touched yet.

    Raises:
        RequestError: everything wrong with it.
    """
    from flowsynth.api import Graph
    from flowsynth.config import compose

    composition = compose(overrides)
    return composition, Graph.from_dict(composition.graph)


def session_of(composition: Composition) -> Session:
    """The session that the settings ask for."""
    from flowsynth.api import Session

    settings = composition.settings
    return Session(
        settings.cache.dir,
        device=settings.device,
        offline=settings.offline,
        max_bytes=settings.cache.max_bytes,
    )


def look(settings: Settings) -> Session:
    """A session that writes nothing, not even a folder."""
    from flowsynth.api import Session

    return Session(settings.cache.dir, device=settings.device, offline=settings.offline, read_only=True)


def run_one(
    graph: Graph, composition: Composition, session: Session, folder: Path, args: argparse.Namespace
) -> Run:
    """Run a graph; a failed node does not raise.

    Raises:
        RequestError: a file, a model or an output that does not exist.
    """
    with watching(args.quiet) as observer:
        return graph.run(
            executor=composition.settings.executor,
            outputs=args.outputs,
            output_dir=folder,
            chunk=composition.settings.chunk,
            observer=observer,
            check=False,
            debug=args.debug,
            workers=composition.settings.workers,
            session=session,
        )


def output_folder(composition: Composition) -> Path:
    """Where a run writes: as asked, or a new folder ``outputs/<graph>/<time>``."""
    if composition.settings.output_dir is not None:
        return composition.settings.output_dir.expanduser().absolute()
    base = Path("outputs", str(composition.graph.get("name", "graph")), time.strftime("%Y-%m-%d_%H-%M-%S"))
    folder, count = base, 2
    while folder.exists():
        folder, count = base.with_name(f"{base.name}_{count}"), count + 1
    return folder.absolute()


def outcome(run: Run) -> Sequence[str]:
    """What to print of a run: values and other files first, the path of the main output last."""
    main = run.main_output
    folder = run.output_dir or Path()
    lines = []
    for name, value in run.record.outputs.items():
        if isinstance(value, str) and (folder / value).exists():
            if folder / value != main:
                lines.append(f"{name}: {shown(folder / value)}")
        else:
            lines.append(f"{name} = {value}")
    return [*lines, shown(main if main is not None else folder / "run.json")]


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
