"""``flowsynth plan --multirun``: what a sweep would share, take from the cache, and compute."""

from __future__ import annotations

import argparse

from flowsynth.cli.jobs import look
from flowsynth.cli.money import money_lines
from flowsynth.core.readable import seconds_text
from flowsynth.core.record import NodesPlan, SweepPlanRecord

#: Jobs that are listed one by one.
FEW = 20


def plan_sweep(args: argparse.Namespace) -> int:
    """Print the plan of a sweep.

    Returns:
        0 if all jobs can be run, else 2.

    Raises:
        RequestError: the overrides cannot be read, or no job's request is right.
    """
    from flowsynth.config import asked_sweep
    from flowsynth.config.plugins import OURS
    from flowsynth.core.errors import RequestError
    from flowsynth.sweeps.batches import Sessions
    from flowsynth.sweeps.compose import jobs_of
    from flowsynth.sweeps.forecast import forecast

    asked = asked_sweep(args.overrides)
    if asked.doors.sweeper != OURS:
        chosen = f"hydra/sweeper={asked.doors.sweeper}"
        raise RequestError(f"plan: {chosen} makes its jobs up as it goes; expected a plan without it")
    jobs = jobs_of(asked, explicit=args.jobs)
    with Sessions(look) as sessions:
        record = forecast(jobs, args.outputs, sessions)
    if args.json:
        print(record.to_json(), end="")
    else:
        allowed = min(job.asked()[1].max_cost for job in jobs if job.error is None)
        print("\n".join([*lines(record), *money_lines(record.nodes.values(), allowed)]))
    return 2 if any(job.error for job in record.jobs) else 0


def lines(record: SweepPlanRecord) -> list[str]:
    """The plan for a terminal: a line a node, the jobs if they are few or at fault, and the sum."""
    head = ("node", "operator", "jobs", "different", "in the cache", "to run", "estimate")
    rows = [head, *((name, *_cells(node)) for name, node in record.nodes.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    right = [job for job in record.jobs if not job.error]
    few = len(record.jobs) <= FEW
    told = [
        f"[{job.job}] {job.hits} of {job.nodes} in the cache: {_axes(job.overrides, record)}" for job in right
    ]
    wrong = [f"[{job.job}] cannot be run: {job.error}" for job in record.jobs if job.error]
    return [*table, "", *(told if few else []), *wrong, _sum(record)]


def _cells(node: NodesPlan) -> tuple[str, ...]:
    left = node.nodes - node.hits
    cost = "" if not left else "not known" if node.seconds is None else seconds_text(node.seconds)
    return node.op, str(node.jobs), str(node.nodes), str(node.hits), str(left), cost


def _axes(overrides: list[str], record: SweepPlanRecord) -> str:
    kept = [line for line in overrides if line.partition("=")[0].lstrip("+") in record.axes]
    return " ".join(kept) or "as it stands"


def _sum(record: SweepPlanRecord) -> str:
    nodes = record.nodes.values()
    uses, different, hits = (sum(getattr(n, name) for n in nodes) for name in ("jobs", "nodes", "hits"))
    cached = sum(job.hits == job.nodes and not job.error for job in record.jobs)
    costs = [node.seconds for node in nodes if node.nodes > node.hits]
    known = sum(cost for cost in costs if cost is not None)
    rest = " and what is not known" if None in costs else ""
    cost = f"; about {seconds_text(known)} of compute{rest}" if costs else ""
    return (
        f"{len(record.jobs)} jobs, {cached} of them in the cache: {uses} nodes, {different} different, "
        f"{hits} in the cache, {different - hits} to run{cost}"
    )
