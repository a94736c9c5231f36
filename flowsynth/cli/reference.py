"""What can be said of an operator from its class alone: its page, as text, Markdown or data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from flowsynth.core.operator import Operator
from flowsynth.core.ports import Port, ports_of

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def describe(cls: type[Operator]) -> dict[str, Any]:
    """An operator as data: what `ops --json` prints.

    Returns:
        op, version, summary, doc, inputs and outputs (port -> type, many, required, stream), params, and the
        options that model families have of their own (family -> doc and params).
    """
    ports = ports_of(cls)
    schema = params_schema(cls)
    return {
        "op": cls.op,
        "version": cls.version,
        "summary": summary(cls),
        "doc": inspect.getdoc(cls) or "",
        "inputs": {name: _port(port) for name, port in ports.inputs.items()},
        "outputs": {name: _port(port) for name, port in ports.outputs.items()},
        "params": schema,
        "options": _family_options(cls) if any(port.is_model for port in ports.inputs.values()) else {},
    }


def summary(cls: type[Operator]) -> str:
    """The first line of an operator's page."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def params_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of an operator's params, without the class's own title and text."""
    schema = model.model_json_schema()
    for key in ("title", "description"):
        schema.pop(key, None)
    for part in schema.get("properties", {}).values():
        part.pop("title", None)
    return schema


def _family_options(cls: type[Operator]) -> dict[str, Any]:
    """What each family that has this verb takes under ``params.options``."""
    from flowsynth.models.registry import families_with

    return {
        name: {"doc": inspect.getdoc(verb.options) or "", "params": params_schema(verb.options)}
        for name, verb in families_with(cls.op).items()
        if verb.options.model_fields
    }


def _port(port: Port) -> dict[str, Any]:
    name = "model" if port.is_model else "json" if port.type is object else port.type.__name__
    return {"type": name, "many": port.many, "required": port.required, "stream": port.temporal}


def type_text(schema: Mapping[str, Any], defs: Mapping[str, Any] | None = None) -> str:
    """A JSON Schema in a few words, such as ``int >= 0`` or ``'fast' | 'accurate' | null``."""
    defs = defs or {}
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        inner = defs.get(name, {})
        return type_text(inner, defs) if "enum" in inner else name
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_text(part, defs) for part in schema["anyOf"]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        items = schema.get("prefixItems")
        if items:
            return f"[{', '.join(type_text(item, defs) for item in items)}]"
        return f"list of {type_text(schema.get('items', {}), defs)}"
    bounds = [f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if key in schema]
    if "multipleOf" in schema:
        bounds.append(f"multiple of {schema['multipleOf']:g}")
    return " ".join([kind, ", ".join(bounds)]).strip()


def page(cls: type[Operator]) -> str:
    """An operator's page for a terminal."""
    data = describe(cls)
    lines = [f"{data['op']}  (version {data['version']})", "", data["doc"], ""]
    for title in ("inputs", "outputs"):
        lines += [f"{title.capitalize()}:", *_rows(_port_rows(data[title]), "  none"), ""]
    lines += ["Params:", *_rows(_param_rows(data["params"]), "  none")]
    for family, options in data["options"].items():
        lines += ["", f"Options of family {family}:", *_rows(_param_rows(options["params"]), "  none")]
        lines += ["", options["doc"]]
    return "\n".join(lines)


def markdown(classes: Iterable[type[Operator]]) -> str:
    """The reference of several operators as one Markdown document."""
    lines = ["# Operators", "", "Written by `flowsynth ops --markdown`.", ""]
    for cls in classes:
        data = describe(cls)
        lines += [f"## {data['op']}", "", _as_markdown(data["doc"]), ""]
        lines += ["| port | type | |", "|---|---|---|"]
        lines += [f"| in `{n}` | {t} | {x} |" for n, t, x in _port_rows(data["inputs"])]
        lines += [f"| out `{n}` | {t} | |" for n, t, _ in _port_rows(data["outputs"])]
        lines += _markdown_params("param", data["params"])
        for family, options in data["options"].items():
            lines += _markdown_params(f"option of `{family}`", options["params"])
            lines += ["", _as_markdown(options["doc"])]
        lines.append("")
    return "\n".join(lines)


def _markdown_params(title: str, schema: Mapping[str, Any]) -> list[str]:
    rows = _param_rows(schema)
    if not rows:
        return []
    lines = ["", f"| {title} | type and default | |", "|---|---|---|"]
    return lines + [f"| `{n}` | {t.replace('|', 'or')} | {x.replace('|', 'or')} |" for n, t, x in rows]


def _as_markdown(doc: str) -> str:
    """A docstring with its indented sections as lists; Markdown would make code blocks of them."""
    lines = []
    for line in doc.splitlines():
        deep = len(line) - len(line.lstrip()) >= 8
        lines.append(
            f"  {line.strip()}" if deep else f"- {line.strip()}" if line.startswith("    ") else line
        )
    return "\n".join(lines)


def _port_rows(ports: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name, port in ports.items():
        kind = f"list of {port['type']}" if port["many"] else port["type"]
        rows.append((name, kind, "" if port["required"] else "optional"))
    return rows


def _param_rows(schema: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name, part in schema.get("properties", {}).items():
        kind = type_text(part, schema.get("$defs"))
        needed = " (required)" if name in schema.get("required", ()) else " (optional)"
        default = f" = {json.dumps(part['default'])}" if "default" in part else needed
        rows.append((name, kind + default, part.get("description", "")))
    return rows


def _rows(rows: list[tuple[str, str, str]], empty: str) -> list[str]:
    if not rows:
        return [empty]
    widths = [min(max(len(row[i]) for row in rows), 44) for i in (0, 1)]
    return [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows]
