"""``flowsynth best SWEEP METRIC``: the overrides of the job with the best figure."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from flowsynth.cli.options import command_parser


def parser() -> argparse.ArgumentParser:
    """The options of `best`."""
    made = command_parser(
        "best",
        "Print the overrides of the job with the best figure, quoted for a shell.",
        "print the job's row of the table as JSON",
    )
    made.add_argument("sweep", metavar="SWEEP", help="the folder of a sweep, or its sweep.json")
    made.add_argument("metric", metavar="METRIC", help="such as figures.lpips, or lpips; seconds, compute")
    which = made.add_mutually_exclusive_group()
    which.add_argument("--min", dest="largest", action="store_false", default=None, help="less is better")
    which.add_argument("--max", dest="largest", action="store_true", default=None, help="more is better")
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the job."""
    from flowsynth.sweeps.read import best, metric_of, read_sweep, value_of

    record, _ = read_sweep(Path(args.sweep))
    metric = metric_of(record, args.metric)
    row = best(record, metric, args.largest)
    if args.json:
        print(json.dumps(row.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return 0
    print(f"job {row.job} of {len(record.jobs)}: {metric} = {value_of(row, metric):g}", file=sys.stderr)
    kept = [line for line in row.overrides if line.partition("=")[0] != "output_dir"]
    print(" ".join(map(shlex.quote, kept)))
    return 0
