"""``flowsynth schema``: JSON Schema of graph files, made from the operators that there are."""

from __future__ import annotations

import argparse
import json
from typing import Any

from flowsynth.cli.options import command_parser
from flowsynth.cli.reference import params_schema, summary
from flowsynth.core.graph import CACHE_POLICIES, DEVICE
from flowsynth.core.operator import Operator
from flowsynth.core.ports import ports_of
from flowsynth.core.registry import usable_operators
from flowsynth.core.stages import STAGE_KEYS

_EDGE = {"type": "string", "description": "node, node.port, or models.name"}
_EDGES = {"anyOf": [_EDGE, {"type": "array", "items": _EDGE}]}
_VALUE = {"type": "string", "pattern": r"\$\{", "description": "an interpolation such as ${prompt}"}


def parser() -> argparse.ArgumentParser:
    """The options of `schema`."""
    return command_parser("schema", "Print the JSON Schema of graph files, for editors.")


def execute(_args: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(graph_schema(), indent=2))
    return 0


def graph_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a file in ``graphs/``, for all operators that can be found now."""
    classes, _ = usable_operators()
    definitions: dict[str, Any] = {f"op.{cls.op}": _node(cls) for cls in classes}
    cases = [
        {
            "if": {"properties": {"op": {"const": cls.op}}, "required": ["op"]},
            "then": {"$ref": f"#/$defs/op.{cls.op}"},
        }
        for cls in classes
    ]
    names = {"enum": [cls.op for cls in classes]}
    definitions["node"] = {
        "type": "object",
        "properties": {"op": names, "nodes": {"$ref": "#/$defs/nodes"}},
        "allOf": [
            *cases,
            {"if": {"required": ["nodes"]}, "then": {"$ref": "#/$defs/stage"}},
        ],
    }
    definitions["nodes"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}}
    definitions["stage"] = {"properties": dict.fromkeys(STAGE_KEYS, True), "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flowsynth graph",
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "defaults": {"type": "array", "description": "stages and groups, as in Hydra"},
            "settings": {
                "type": "object",
                "description": "values for the top, such as a prompt",
            },
            "models": {"type": "object", "additionalProperties": {"anyOf": [{"type": "object"}, _VALUE]}},
            "nodes": {"$ref": "#/$defs/nodes"},
            "outputs": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _node(cls: type[Operator]) -> dict[str, Any]:
    schema = params_schema(cls)
    inner = schema.pop("$defs", {})
    properties = {
        name: {"anyOf": [part, _VALUE], "description": part.get("description", "")}
        for name, part in _inlined(schema.get("properties", {}), inner).items()
    }
    return {
        "description": summary(cls),
        "properties": {
            "op": {"const": cls.op},
            "inputs": {
                "type": "object",
                "properties": dict.fromkeys(ports_of(cls).inputs, _EDGES),
                "additionalProperties": False,
            },
            "params": {"type": "object", "properties": properties, "additionalProperties": False},
            "device": {"anyOf": [{"type": "string", "pattern": f"^({DEVICE.pattern})$"}, _VALUE]},
            "cache": {"enum": list(CACHE_POLICIES)},
        },
        "additionalProperties": False,
    }


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    """References to a class's own definitions replaced by them, so that classes cannot clash."""
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(part, definitions) for key, part in value.items()}
    return [_inlined(part, definitions) for part in value] if isinstance(value, list) else value
