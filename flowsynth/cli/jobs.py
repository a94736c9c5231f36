"""From overrides to a run and what is printed of it: what `run`, sweeps, `plan` and others share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.watch import watching

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, Session
    from flowsynth.config import Composition, Settings


def request(overrides: Sequence[str]) -> tuple[Composition, Graph]:
    """What overrides ask for, and the graph built of it; nothing is touched yet.

    Raises:
        RequestError: everything wrong with it.
    """
    from flowsynth.api import Graph
    from flowsynth.config import compose_request

    composition = compose_request(overrides)
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
        return composition.settings.output_dir.absolute()
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
