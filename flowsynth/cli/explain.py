"""``flowsynth explain NODE``: which part of a node's key changed since the last run."""

from __future__ import annotations

import argparse
import json

from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.core.errors import RequestError, did_you_mean, listing


def parser() -> argparse.ArgumentParser:
    """The options of `explain`."""
    made = command_parser("explain", "Say why a node would run.", "print it as JSON")
    made.add_argument("node", metavar="NODE", help="a node of the graph")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the node's state and what changed."""
    from flowsynth.cli.jobs import look, request
    from flowsynth.cli.plan import changes

    if "=" in args.node:
        raise RequestError(f"explain: expected a node first, then KEY=VALUE; given {args.node!r}")
    composition, graph = request(args.overrides)
    if args.node not in graph.nodes:
        hint = did_you_mean(args.node, graph.nodes)
        raise RequestError(f"no node {args.node!r}; expected one of {listing(graph.nodes)}{hint}")
    with look(composition.settings) as session:
        plan = session.plan(graph)
        if args.node not in plan.steps:
            plan = session.plan(graph, [args.node])
        step = plan.steps[args.node]
        changed = changes(step, plan, session) if step.status != "unknown" else []
    waits = [] if step.status != "unknown" else [s.name for s in plan.steps.values() if s.status == "run"]
    if args.json:
        data = {"node": args.node, "status": step.status, "key": step.key, "changed": changed, "waits": waits}
        print(json.dumps(data, indent=2))
    else:
        print("\n".join(_lines(args.node, step.status, changed, waits)))
    return 0


def _lines(node: str, status: str, changed: list[str], waits: list[str]) -> list[str]:
    if status == "unknown":
        return [f"{node}: unknown until these have run: {listing(waits)}"]
    if not changed:
        return [f"{node}: {status}; nothing in its key has changed since the last run"]
    return [f"{node}: {status}; since the last run", *(f"  {line}" for line in changed)]
