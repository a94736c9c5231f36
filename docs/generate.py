"""Pages made of the code: one an operator, the commands, and what YAML files may hold."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowsynth.cli.commands import COMMANDS, command_module
from flowsynth.cli.reference import markdown, params_schema, summary, type_text
from flowsynth.config.settings import Settings
from flowsynth.core.operator import Operator
from flowsynth.core.registry import operator_class
from flowsynth.core.shipped import shipped_folder, shipped_modules
from flowsynth.core.stages import NODE_KEYS, STAGE_KEYS
from flowsynth.models.registry import family, family_names

#: Where the pages go, below the folder of the site.
PLACE = "made"
_ROOT = Path(__file__).resolve().parents[1]
_RECIPES = [f"recipes/{path.name}" for path in (_ROOT / "docs" / "recipes").glob("*.md")]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]*)\)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
_YAML = """# YAML

`flowsynth schema graph`, `stage` and `experiment` print the JSON Schemas of these files, for editors.

## Graphs

A file `graphs/NAME.yaml`, asked for as `graph=NAME`: `name`, `description`, `defaults` (stages and choices,
as in Hydra), `settings` (values for the top, which the command line sets by name), `models`, `nodes` and
`outputs`.

A node holds {nodes}; a stage, a node that has nodes, {stages}. Edges are texts: `node`, `node.port` or
`models.name`; values stand under `params`, and `${{KEY}}` is for values alone.

## Experiments

A file `conf/experiment/NAME.yaml` with `# @package _global_` in its first line, asked for as
`experiment=NAME`: any of the settings below, of the graph's settings, and parts of the graph.

## Settings

```yaml
{main}
```
"""


def write_pages(folder: Path) -> None:
    """Write all of them anew, below a folder; a page that did not change keeps its time."""
    pages = dict(_pages())
    place = folder / PLACE
    for old in [path for path in place.rglob("*.md") if path.relative_to(place).as_posix() not in pages]:
        old.unlink()
    for name, text in pages.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _pages() -> Iterator[tuple[str, str]]:
    yield "readme.md", _readme((_ROOT / "README.md").read_text(encoding="utf-8"))
    yield "commands.md", _commands()
    yield "yaml.md", _yaml()
    rooms: dict[str, list[type[Operator]]] = {}
    for name, module in shipped_modules().items():
        rooms.setdefault(module.split(".")[2], []).append(operator_class(name))
        yield f"operators/{name}.md", _operator_page(operator_class(name))
    yield "operators/index.md", _operators(rooms)


def _readme(text: str) -> str:
    """README with its pictures found from here, and links to files of the checkout as plain names."""
    text = _IMAGE.sub(lambda found: f"![{found[1]}](../../{found[2]})", text)
    known = {"graphs/OPERATORS.md": "operators/index.md"}
    known |= {f"docs/{name}": f"../{name}" for name in _RECIPES}

    def linked(found: re.Match[str]) -> str:
        target = known.get(found[2])
        return f"[{found[1]}]({target})" if target else f"{found[1]} (`{found[2].partition('#')[0]}`)"

    return _LINK.sub(linked, text)


def _operator_page(cls: type[Operator]) -> str:
    """What `flowsynth ops --markdown` says of one, as a page of its own."""
    body = markdown([cls])
    start = body.index(f"## {cls.op}") if f"## {cls.op}" in body else 0
    page = body[start:].replace(f"## {cls.op}", f"# {cls.op}", 1)
    return page.replace("](", r"]\(")  # of formulas, such as I[t](x): no links stand in docstrings


def _operators(rooms: Mapping[str, list[type[Operator]]]) -> str:
    parts = ["# Operators", "", "What `op:` of a node may name."]
    for room, classes in rooms.items():
        parts += ["", f"## {room.capitalize()}", ""]
        parts += [f"- [{cls.op}]({cls.op}.md): {summary(cls)}" for cls in classes]
        parts += ["", "```{toctree}", ":hidden:", "", *(cls.op for cls in classes), "```"]
    return "\n".join(parts) + "\n"


def _commands() -> str:
    parts = ["# Commands", ""]
    for name in COMMANDS:
        parts += [
            f"## {name}",
            "",
            "```text",
            command_module(name).parser().format_help().rstrip(),
            "```",
            "",
        ]
    return "\n".join(parts)


def _yaml() -> str:
    """What graphs, stages, experiments and models hold."""
    main = (shipped_folder("conf") / "flowsynth_main.yaml").read_text(encoding="utf-8").rstrip()
    nodes, stages = _listed(NODE_KEYS), _listed(STAGE_KEYS)
    parts = [_YAML.format(nodes=nodes, stages=stages, main=main), *_table(params_schema(Settings))]
    for name in family_names():
        spec = family(name).spec_type
        doc = (inspect.getdoc(spec) or "").partition("\n")[0]
        parts += ["", f"## Models of family {name}", "", doc, "", *_table(params_schema(spec))]
    return "\n".join(parts) + "\n"


def _table(schema: Mapping[str, Any]) -> list[str]:
    rows = ["| key | value | meaning |", "|---|---|---|"]
    defs = schema.get("$defs", {})
    for name, part in schema.get("properties", {}).items():
        kind, meaning = type_text(part, defs), part.get("description", "")
        rows.append(f"| `{name}` | {_cell(kind)} | {_cell(str(meaning))} |")
    return rows


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ").replace("<", "&lt;")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
