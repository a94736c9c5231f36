"""``flowsynth export comfyui graph=NAME``: a graph as another program's workflow."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.core.errors import RequestError


def parser() -> argparse.ArgumentParser:
    """The options of `export`."""
    made = command_parser(
        "export", "Write a graph as another program's workflow, where every node has one there."
    )
    made.add_argument("program", choices=["comfyui"], help="whose workflow: JSON of its API")
    made.add_argument("-o", "--output", metavar="FILE.json", type=Path, help="write it here")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Write the workflow."""
    from flowsynth.comfyui.exporting.graph import export_graph
    from flowsynth.config import compose_request

    graph = compose_request(args.overrides).graph
    text = json.dumps(export_graph(graph, str(graph.get("name", "graph"))), indent=2)
    if args.output is None:
        print(text)
        return 0
    try:
        args.output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"-o: expected a file to write; given {str(args.output)!r} ({error.strerror or error})"
        ) from None
    print(args.output)
    return 0
