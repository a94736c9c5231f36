"""``flowsynth validate``: check a graph without running it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from flowsynth.api.declared import unused_models
from flowsynth.cli.jobs import request
from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.core.errors import Fault, GraphError, RequestError


def parser() -> argparse.ArgumentParser:
    """The options of `validate`."""
    made = command_parser("validate", "Check a graph.", "print {ok, faults: [...]} as JSON")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Say that the graph is right, or everything that is wrong with it."""
    try:
        _, graph = request(args.overrides)
    except RequestError as error:
        if not args.json:
            raise
        faults = error.faults if isinstance(error, GraphError) else [Fault("request", str(error))]
        print(json.dumps({"ok": False, "faults": [asdict(fault) for fault in faults]}, indent=2))
        return error.exit_code
    for note in unused_models(graph):
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(
            json.dumps({"ok": True, "name": graph.name, "nodes": list(graph.nodes), "faults": []}, indent=2)
        )
    else:
        edges = sum(1 for node in graph.nodes.values() for _ in node.edges())
        print(f"{graph.name}: {len(graph.nodes)} nodes, {edges} edges, nothing wrong")
    return 0
