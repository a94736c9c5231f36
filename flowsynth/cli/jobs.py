"""From overrides to a run and what is printed of it: what `run`, sweeps, `plan` and others share."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.cli.sinks import require_sink
from flowsynth.cli.watch import served, watching
from flowsynth.core.collector import collector_paused

if TYPE_CHECKING:
    from flowsynth.api import Graph, Run, Session
    from flowsynth.config import Composition, Settings


def request(overrides: Sequence[str], *, keep: bool = False) -> tuple[Composition, Graph]:
    """What overrides ask for, and the graph built of it; nothing is touched yet.

    Args:
        overrides: as typed.
        keep: write down what they came to, for the next time; to look is not to write.

    Raises:
        RequestError: everything wrong with it.
    """
    with collector_paused():  # hundreds of modules, which stay
        from flowsynth.api import Graph
        from flowsynth.config import compose_request

        composition = compose_request(overrides, recall=True, keep=keep)
        graph = Graph.from_dict(composition.graph)
    graph.request = composition.request()
    return composition, graph


def open_session(settings: Settings) -> Session:
    """The session that the settings ask for."""
    from flowsynth.api import Session

    return Session.of(settings.run_options(), rules=settings.placement.rules)


def look(settings: Settings) -> Session:
    """A session that writes nothing, not even a folder."""
    from flowsynth.api import Session

    return Session.of(settings.run_options(), rules=settings.placement.rules, read_only=True)


def run_one(
    graph: Graph, composition: Composition, session: Session, folder: Path, args: argparse.Namespace
) -> Run:
    """Run a graph; a failed node does not raise.

    Raises:
        RequestError: a file, a model or an output that does not exist.
    """
    graph.request = graph.request.model_copy(update={"command": ["flowsynth", *args.argv]})
    with watching(args.quiet) as shown, served(shown) if args.watch else nullcontext(shown) as observer:
        return graph.run(
            outputs=args.outputs,
            output_dir=folder,
            observer=observer,
            check=False,
            session=session,
            options=composition.settings.run_options(debug=args.debug),
        )


@contextmanager
def output_folder(settings: Settings, graph: str) -> Iterator[Path]:
    """Where a run writes: as asked, or a new folder ``outputs/<graph>/<time>`` that no other run has.

    The new folder is made at once, so that runs which start in one second do not share it, and goes again
    if nothing was written.

    Raises:
        RequestError: nothing can be written there.
    """
    from flowsynth.api.outputs import require_folder

    require_sink(settings.record)
    if settings.output_dir is not None:
        folder = settings.output_dir.absolute()
        require_folder(folder)
        yield folder
        return
    base = Path("outputs", graph, time.strftime("%Y-%m-%d_%H-%M-%S")).absolute()
    require_folder(base)
    made = [place for place in (base.parent, base.parent.parent) if not place.exists()]
    folder = _claimed(base)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # as soon as one is not empty
            for place in (folder, *made):
                place.rmdir()


def _claimed(base: Path) -> Path:
    """A folder that this call made: the one named, or one with a number after the name."""
    folder, count = base, 2
    while not _made(folder):
        folder, count = base.with_name(f"{base.name}_{count}"), count + 1
    return folder


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def outcome(run: Run) -> Sequence[str]:
    """What to print of a run: values and other files first, the path of the main output last."""
    main = run.main_output
    folder = run.output_dir or Path()
    lines = []
    for name, value in run.summary.outputs.items():
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
