"""``flowsynth ops [OP]``: the operators, their ports and params."""

from __future__ import annotations

import argparse
import json
import sys

from flowsynth.cli.options import command_parser
from flowsynth.cli.reference import describe, markdown, page, params_schema, summary
from flowsynth.core.errors import RequestError
from flowsynth.core.registry import operator_class, usable_operators

#: Of the output: one at a time.
_FORMS = ("json", "json_schema", "markdown")


def parser() -> argparse.ArgumentParser:
    """The options of `ops`."""
    made = command_parser("ops", "List the operators, or describe one.", "print the same as JSON")
    made.add_argument("op", nargs="?", metavar="OP", help="an operator's name")
    made.add_argument("--json-schema", action="store_true", help="print the JSON Schema of the params")
    made.add_argument("--markdown", action="store_true", help="print the reference as Markdown")
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the list or the page that was asked for."""
    asked = [name for name in _FORMS if getattr(args, name)]
    if len(asked) > 1:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise RequestError(f"ops: expected one of --json, --json-schema, --markdown; given {given}")
    classes, unusable = ([operator_class(args.op)], []) if args.op is not None else usable_operators()
    for reason in unusable:
        print(f"note: {reason}", file=sys.stderr)
    if args.json_schema:
        schemas = {cls.op: params_schema(cls) for cls in classes}
        print(json.dumps(schemas[args.op] if args.op else schemas, indent=2))
    elif args.json:
        data = [describe(cls) for cls in classes]
        print(json.dumps(data[0] if args.op else data, indent=2))
    elif args.markdown:
        print(markdown(classes))
    elif args.op:
        print(page(classes[0]))
    else:
        width = max((len(cls.op) for cls in classes), default=0)
        print("\n".join(f"{cls.op:<{width}}  {summary(cls)}" for cls in classes))
    return 0
