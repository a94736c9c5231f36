"""``flowsynth run``: run a graph, or a sweep of runs."""

from __future__ import annotations

import argparse
import sys

from flowsynth.cli.hydra_options import add_hydra_options, apply_hydra_options
from flowsynth.cli.jobs import open_session, outcome, output_folder, request, run_one
from flowsynth.cli.options import add_multirun, add_overrides, command_parser, require_multirun
from flowsynth.cli.report import add_report
from flowsynth.cli.sinks.told import tell_of_run
from flowsynth.core.errors import RequestError


def parser() -> argparse.ArgumentParser:
    """The options of `run`."""
    made = command_parser(
        "run",
        "Run a graph: what the cache holds is taken from there, the rest is computed. The last line printed "
        "is the path of the main output.",
        "print the record (run.json) as JSON instead of the output's path",
    )
    add_multirun(made)
    add_hydra_options(made)
    made.add_argument(
        "--watch",
        action="store_true",
        help="serve a page that shows the run while it goes, for this machine's browsers only",
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
    require_multirun(args)
    apply_hydra_options(args)
    if args.cfg is not None or args.info is not None:
        from flowsynth.cli.composed import show_config, show_info

        return show_config(args) if args.cfg is not None else show_info(args)
    if args.multirun:
        if args.watch:
            raise RequestError("--watch: not used by a sweep; expected a single run")
        from flowsynth.cli.sweep import run_sweep

        return run_sweep(args)
    composition, graph = request(args.overrides, keep=True)
    settings = composition.settings
    with output_folder(settings, graph.name) as folder, open_session(settings) as session:
        run = run_one(graph, composition, session, folder, args)
        if settings.report:
            add_report(folder, session.cache)
    for note in run.summary.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(run.record.to_json(), end="")
    else:
        for line in outcome(run):
            print(line)
    tell_of_run(settings.record, run, folder)
    if run.summary.status == "failed":
        from flowsynth.api import RunFailedError

        raise RunFailedError(run)
    return 0
