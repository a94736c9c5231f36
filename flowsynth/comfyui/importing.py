"""From a file to a graph's YAML: what ``flowsynth import comfyui`` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowsynth.comfyui.emitting.graph_yaml import graph_yaml
from flowsynth.comfyui.mapping.classes import WIDGETS
from flowsynth.comfyui.mapping.walk import sketch_of
from flowsynth.comfyui.normal.normalise import normalise
from flowsynth.comfyui.reading.files import read_workflow
from flowsynth.core.errors import RequestError


class NotImportedError(RequestError):
    """Nodes of a workflow have no counterpart here: all of them, each with its place and what it feeds."""


@dataclass(frozen=True)
class Imported:
    """A workflow as a graph.

    Attributes:
        text: its YAML.
        notes: how it differs from the workflow.
    """

    text: str
    notes: tuple[str, ...]


def import_workflow(
    file: Path, *, near: bool = False, models: str = "models", inputs: str = "input"
) -> Imported:
    """Read a workflow and write it as a graph.

    Args:
        file: JSON of its menu or its API, or a picture or clip that ComfyUI saved.
        near: take the nearest sampler or schedule where diffusers has no equal.
        models: folder with ComfyUI's models, for the graph's settings.
        inputs: folder with its pictures, likewise.

    Raises:
        RequestError: no workflow, or one of which something cannot be imported.
    """
    data = read_workflow(file)
    try:
        flow = normalise(data, WIDGETS)
        sketch, places = sketch_of(flow, near=near)
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None
    if places:
        head = f"{file}: {len(places)} node{'s' if len(places) != 1 else ''} cannot be imported"
        raise NotImportedError("\n".join([head, *(f"  {place}" for place in places)]))
    text = graph_yaml(sketch, file.name, notes=flow.notes, models=models, inputs=inputs)
    return Imported(text, tuple(dict.fromkeys(sketch.notes)))
