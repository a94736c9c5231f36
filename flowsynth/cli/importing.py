"""``flowsynth import comfyui FILE``: another program's workflow as a graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import RequestError


def parser() -> argparse.ArgumentParser:
    """The options of `import`."""
    made = command_parser("import", "Write another program's workflow as a graph.")
    made.add_argument("program", choices=["comfyui"], help="whose workflow it is")
    made.add_argument(
        "file",
        metavar="FILE",
        type=file_name,
        help="JSON of its menu or API, or a PNG, WebP or MP4 that it saved",
    )
    made.add_argument(
        "-o", "--output", metavar="GRAPH.yaml", type=Path, help="write it here, not to the terminal"
    )
    made.add_argument(
        "--models", metavar="FOLDER", default="models", help="ComfyUI's models; default: models"
    )
    made.add_argument("--inputs", metavar="FOLDER", default="input", help="its pictures; default: input")
    made.add_argument(
        "--nearest",
        action="store_true",
        help="take the nearest sampler where diffusers has no equal, and say so",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Write the graph, and say how it differs."""
    from flowsynth.comfyui.importing import import_workflow

    made = import_workflow(Path(args.file), near=args.nearest, models=args.models, inputs=args.inputs)
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.output is None:
        print(made.text, end="")
        return 0
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(made.text, encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"-o: expected a file to write; given {str(args.output)!r} ({error.strerror or error})"
        ) from None
    print(args.output)
    if args.output.suffix == ".yaml" and args.output.resolve().parent == Path("graphs").resolve():
        print(f"run it: flowsynth run graph={args.output.stem}", file=sys.stderr)
    return 0
