"""A graph's YAML, with a comment on each node that says which one of the workflow it stands for."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from flowsynth.comfyui.emitting.declared import declared
from flowsynth.comfyui.emitting.merge import models_of
from flowsynth.comfyui.mapping.graph import Made, Sketch
from flowsynth.comfyui.mapping.values import Use
from flowsynth.core.canonical import Json
from flowsynth.core.yaml_dump import dump_yaml

_WIDTH = 100
_NAMED = re.compile(r"\$\{(models_folder|input_folder)\}")


def graph_yaml(
    sketch: Sketch, origin: str, *, notes: Sequence[str] = (), models: str = "models", inputs: str = "input"
) -> str:
    """The text of a graph.

    Args:
        sketch: its nodes.
        origin: what it was imported from, for the head.
        notes: texts of the workflow's author.
        models: folder with ComfyUI's models.
        inputs: folder with its pictures and clips.
    """
    uses, used = models_of(sketch)
    names = _names(uses)
    lines = [f"# Imported from the ComfyUI workflow {_line(origin)}."]
    lines += [f"# Differs: {_line(note)}" for note in dict.fromkeys(sketch.notes)]
    for note in notes:
        lines += ["#", *(f"# {line}".rstrip() for line in _wrapped(note))]
    folders = {"models_folder": models, "input_folder": inputs}
    body = [*_models(sketch, uses, used, names), *_nodes(sketch, used, names)]
    needed = {found for line in body for found in _NAMED.findall(line)}
    if settings := {name: value for name, value in folders.items() if name in needed}:
        lines += [
            "settings:",
            "  # as ComfyUI has them: checkpoints, loras, vae, ... are below models_folder",
        ]
        lines += _indented(dump_yaml(settings), 2)
        lines.append("")
    lines += body
    lines += ["", *dump_yaml({"outputs": sketch.outputs}).splitlines()]
    return "\n".join(lines) + "\n"


def _models(sketch: Sketch, uses: list[Use], used: dict[tuple[str, str], int], names: list[str]) -> list[str]:
    lines = ["models:"] if uses else []
    for k, use in enumerate(uses):
        spec, notes = declared(use, _prompts(sketch, used, k))
        lines += [f"  # {_line(note)}" for note in notes]
        lines += _indented(dump_yaml({names[k]: spec}), 2)
    return [*lines, ""] if lines else []


def _prompts(sketch: Sketch, used: dict[tuple[str, str], int], model: int) -> list[str]:
    found: list[str] = []
    for (name, _), k in used.items():
        made = sketch.nodes[name]
        if k == model and made.op == "text_encode":
            found += [str(made.params.get(key) or "") for key in ("prompt", "negative_prompt")]
    return found


def _nodes(sketch: Sketch, used: dict[tuple[str, str], int], names: list[str]) -> list[str]:
    lines = ["nodes:"]
    for name, made in sketch.nodes.items():
        lines += [f"  # {_line(text)}" for text in (made.origin, *made.notes)]
        lines += _indented(dump_yaml({name: _node(name, made, used, names)}), 2)
    return lines


def _node(name: str, made: Made, used: dict[tuple[str, str], int], names: list[str]) -> dict[str, Json]:
    inputs: dict[str, Json] = {
        port: f"models.{names[used[name, port]]}" if isinstance(edge, Use) else edge  # type: ignore[misc]
        for port, edge in made.inputs.items()
    }
    found: dict[str, Json] = {"op": made.op}
    if inputs:
        found["inputs"] = inputs
    if made.params:
        found["params"] = {key: _escaped(value) for key, value in made.params.items()}
    return found


def _escaped(value: Json) -> Json:
    """Texts in which nothing is taken for an interpolation but the folders."""
    if isinstance(value, str):
        return re.sub(r"(?<!\\)\$\{(?!models_folder\}|input_folder\})", r"\\${", value)
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


def _names(uses: list[Use]) -> list[str]:
    """What models are called: by their file."""
    names: list[str] = []
    for use in uses:
        part = use.net or use.vae
        file = (
            part.file.name
            if part is not None
            else use.clip.files[0].name
            if use.clip and use.clip.files
            else ""
        )
        stem = re.sub(r"\W+", "_", file.rpartition("/")[2].rpartition(".")[0]).strip("_").lower() or "model"
        base = stem if stem[0].isalpha() else f"model_{stem}"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return names


def _line(text: str) -> str:
    """A text on one line, without what would end a comment."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\u0085\u2028\u2029]", " ", text).split())


def _wrapped(text: str) -> list[str]:
    return [
        line for paragraph in text.splitlines() for line in textwrap.wrap(_line(paragraph), _WIDTH) or [""]
    ]


def _indented(text: str, by: int) -> list[str]:
    return [f"{' ' * by}{line}" for line in text.splitlines()]
