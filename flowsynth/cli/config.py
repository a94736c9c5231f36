"""``flowsynth config``: the composed configuration, each value with the place where it was written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowsynth.cli.options import add_overrides, command_parser

if TYPE_CHECKING:
    from flowsynth.config.composition import Origins

#: Where comments begin, at the least.
_COLUMN = 44


def parser() -> argparse.ArgumentParser:
    """The options of `config`."""
    made = command_parser(
        "config",
        "Print the configuration that overrides come to, as YAML; behind each value the file and line, or "
        "the command line, that it is from. Nothing is run.",
        "print a list of {path, value, from} instead",
    )
    made.add_argument("--resolve", action="store_true", help="interpolations such as ${prompt} replaced")
    made.add_argument("-p", "--package", metavar="KEY", help="only what is below a key, such as graph.nodes")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Print it."""
    from flowsynth.cli.composed import below
    from flowsynth.config.composition import composed_values, known_origins

    values = composed_values(args.overrides, resolve=args.resolve)
    written = composed_values(args.overrides) if args.resolve else values
    found = known_origins(args.overrides)
    head: tuple[str, ...] = () if args.package is None else tuple(args.package.split("."))
    shown = below(values, args.package, "config") if head else values
    if not isinstance(shown, Mapping):
        shown, head = {head[-1]: shown}, head[:-1]
    rows = list(_rows(shown, head, found, written))
    if args.json:
        print(json.dumps([row for row in rows if "from" in row], indent=2, ensure_ascii=False))
        return 0
    print(f"# Of each two that set a value the later one wins: {', '.join(found.files)}, the command line.")
    print("\n".join(_line(row, len(head)) for row in rows))
    return 0


def _rows(
    values: Mapping[str, Any], path: tuple[str, ...], found: Origins, written: Any
) -> Iterator[dict[str, Any]]:
    """A row a key: its path, and of what is no mapping its value and where that was written."""
    for key, value in values.items():
        here = (*path, str(key))
        if isinstance(value, Mapping) and value:
            inner = list(_rows(value, here, found, written))
            yield from [{"path": ".".join(here)}, *inner] if inner else []
        elif origin := found.of(here):  # of Hydra's own part only what somebody wrote
            row = {"path": ".".join(here), "value": value, "from": origin}
            if (text := _text_at(written, here)) != value:
                row["written"] = text
            yield row


def _text_at(written: Any, path: tuple[str, ...]) -> Any:
    """What was written at a place: a value, or the interpolation that it or what is around it came from."""
    for part in path:
        if not isinstance(written, Mapping):
            break
        written = written.get(part)
    return written


def _line(row: Mapping[str, Any], depth: int) -> str:
    import yaml

    parts = row["path"].split(".")
    indent = "  " * (len(parts) - 1 - depth)
    if "from" not in row:
        return f"{indent}{parts[-1]}:"
    text = yaml.safe_dump(
        {parts[-1]: row["value"]}, default_flow_style=True, allow_unicode=True, width=float("inf")
    )
    said = f"{indent}{text.strip()[1:-1]}"
    written = f", {row['written']}" if "written" in row else ""
    return f"{said:<{_COLUMN}}  # {row['from']}{written}"
