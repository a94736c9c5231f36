"""``flowsynth graph``: draw a graph."""

from __future__ import annotations

import argparse
from pathlib import Path

from flowsynth.cli.jobs import request
from flowsynth.cli.options import add_overrides, command_parser
from flowsynth.core.errors import RequestError
from flowsynth.core.secrets import hidden_text
from flowsynth.drawing import FORMATS, outline_of


def parser() -> argparse.ArgumentParser:
    """The options of `graph`."""
    made = command_parser("graph", "Draw a graph.")
    made.add_argument("--format", choices=list(FORMATS), default="mermaid", help="default: mermaid")
    made.add_argument("-o", "--output", metavar="FILE", type=Path, help="write it here, not to the terminal")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Write the drawing."""
    _, graph = request(args.overrides)
    text = FORMATS[args.format](outline_of(graph))
    if args.output is None:
        print(text)
    else:
        try:
            args.output.write_text(hidden_text(text) + "\n", encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise RequestError(
                f"-o: expected a file to write; given {str(args.output)!r} ({reason})"
            ) from None
        print(args.output)
    return 0
