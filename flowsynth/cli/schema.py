"""``flowsynth schema``: JSON Schemas of graphs, stages and experiments, from the operators that there are."""

from __future__ import annotations

import argparse
import json
from typing import Any

from flowsynth.cli.options import command_parser
from flowsynth.cli.reference import params_schema, summary
from flowsynth.core.checks import CACHE_POLICIES, DEVICE
from flowsynth.core.operator import Operator
from flowsynth.core.ports import ports_of
from flowsynth.core.registry import usable_operators
from flowsynth.core.stages import STAGE_KEYS

_EDGE = {"type": "string", "description": "node, node.port, or models.name"}
_EDGES = {"anyOf": [_EDGE, {"type": "array", "items": _EDGE}]}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFAULTS = {"type": "array", "description": "files to be merged before, as in Hydra"}
_OUTPUTS = {"type": "array", "items": {"type": "string"}}
_VALUE = {"type": "string", "pattern": r"\$\{", "description": "an interpolation such as ${prompt}"}


def parser() -> argparse.ArgumentParser:
    """The options of `schema`."""
    made = command_parser("schema", "Print the JSON Schema of files that people write, for editors.")
    made.add_argument(
        "what",
        nargs="?",
        choices=list(_SCHEMAS),
        default="graph",
        metavar="WHAT",
        help="graph (graphs/*.yaml, the default), stage (graphs/stages/*.yaml) or experiment "
        "(conf/experiment/*.yaml)",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(_SCHEMAS[args.what](), indent=2))
    return 0


def graph_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a file in ``graphs/``, for all operators that can be found now."""
    return {
        "$schema": _DIALECT,
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
            "outputs": _OUTPUTS,
        },
        "additionalProperties": False,
        "$defs": _definitions(),
    }


def stage_schema() -> dict[str, Any]:
    """JSON Schema of a file in ``graphs/stages/``: a node, a stage of nodes, or nodes by name."""
    definitions = _definitions()
    stage = {"required": ["nodes"], **definitions["stage"]}
    stage["properties"] = {**stage["properties"], "nodes": {"$ref": "#/$defs/nodes"}, "defaults": _DEFAULTS}
    return {
        "$schema": _DIALECT,
        "title": "flowsynth stage",
        "type": "object",
        "if": {"required": ["op"], "properties": {"op": {"type": "string"}}},
        "then": {"$ref": "#/$defs/node"},
        "else": {
            "if": {"required": ["nodes"]},
            "then": stage,
            "else": {
                "properties": {"defaults": _DEFAULTS},
                "additionalProperties": {"$ref": "#/$defs/node"},
            },
        },
        "$defs": definitions,
    }


def experiment_schema() -> dict[str, Any]:
    """JSON Schema of a file in ``conf/experiment/``: values for the top, and parts of the graph."""
    from flowsynth.config.settings import Settings
    from flowsynth.config.sketch import groups, sketch

    settings = Settings.model_json_schema()
    known = _inlined(settings["properties"], settings.get("$defs", {}))
    choices = {f"override /{group}": {"enum": names} for group, names in groups().items()}
    top = {key: {"description": f"{key} of the configuration"} for key in sketch([])}
    values = {key: {"anyOf": [{"type": "null"}, _VALUE, part]} for key, part in known.items()}
    graph = {
        "type": "object",
        "properties": {"nodes": {"$ref": "#/$defs/nodes"}, "models": {"type": "object"}, "outputs": _OUTPUTS},
        "additionalProperties": False,
    }
    return {
        "$schema": _DIALECT,
        "title": "flowsynth experiment",
        "type": "object",
        "properties": {
            **top,
            **values,
            "defaults": {
                "type": "array",
                "items": {"anyOf": [{"const": "_self_"}, {"type": "object", "properties": choices}]},
            },
            "graph": graph,
        },
        "additionalProperties": {"description": "a setting of the graph"},
        "$defs": _definitions(),
    }


def _definitions() -> dict[str, Any]:
    """What nodes may be, for all operators that can be found now."""
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
    return definitions


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


_SCHEMAS = {"graph": graph_schema, "stage": stage_schema, "experiment": experiment_schema}
