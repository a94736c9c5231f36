"""``flowsynth validate``: check a graph without running it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flowsynth.cli.jobs import request
from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.core.errors import Fault, GraphError, RequestError
from flowsynth.core.graph import CoreGraph


def parser() -> argparse.ArgumentParser:
    """The options of `validate`."""
    made = command_parser("validate", "Check a graph.", "print {ok, faults: [...]} as JSON")
    add_overrides(made)
    return made


def _check_models(graph: CoreGraph) -> None:
    """Every model's declaration, all faults at once.

    Raises:
        GraphError: what is wrong with them.
    """
    faults = [fault for name, spec in graph.models.items() for fault in _model_faults(name, spec)]
    if faults:
        raise GraphError(faults, graph.name)


def _model_faults(name: str, spec: Mapping[str, Any]) -> Sequence[Fault]:
    from flowsynth.models import parse_model

    try:
        parse_model(name, spec)
    except GraphError as error:
        return error.faults
    return ()


def execute(args: argparse.Namespace) -> int:
    """Say that the graph is right, or everything that is wrong with it."""
    try:
        _, graph = request(args.overrides)
        _check_models(graph)
    except RequestError as error:
        if not args.json:
            raise
        faults = error.faults if isinstance(error, GraphError) else [Fault("request", str(error))]
        print(json.dumps({"ok": False, "faults": [asdict(fault) for fault in faults]}, indent=2))
        return error.exit_code
    if args.json:
        print(
            json.dumps({"ok": True, "name": graph.name, "nodes": list(graph.nodes), "faults": []}, indent=2)
        )
    else:
        edges = sum(1 for node in graph.nodes.values() for _ in node.edges())
        print(f"{graph.name}: {len(graph.nodes)} nodes, {edges} edges, nothing wrong")
    return 0
