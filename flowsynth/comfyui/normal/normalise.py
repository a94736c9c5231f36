"""From a workflow's JSON, whichever of the two formats it is in, to a flow without circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from flowsynth.comfyui.flow import Flow
from flowsynth.comfyui.normal.api import flow_of_api
from flowsynth.comfyui.normal.ui import flow_of_ui
from flowsynth.core.errors import RequestError


def normalise(data: Mapping[str, Any], widgets: Mapping[str, Sequence[str]]) -> Flow:
    """A workflow as a flow.

    Args:
        data: its JSON.
        widgets: names of the widgets of known classes, in order.

    Raises:
        RequestError: JSON of another kind, a damaged workflow, or one with a circle; one message.
    """
    flow = _flow(data, widgets)
    order: TopologicalSorter[str] = TopologicalSorter(
        {name: [link.node for link in step.links()] for name, step in flow.steps.items()}
    )
    try:
        order.prepare()
    except CycleError as error:
        names = " -> ".join(str(flow.steps.get(name, name)) for name in error.args[1])
        raise RequestError(f"nodes in a circle: {names}; expected a workflow without circles") from None
    return flow


def _flow(data: Mapping[str, Any], widgets: Mapping[str, Sequence[str]]) -> Flow:
    if isinstance(data.get("nodes"), list):
        if not data["nodes"]:
            raise RequestError("the workflow has no node; expected some")
        return flow_of_ui(data, widgets)
    for name in ("prompt", "workflow", "output"):
        inside = data.get(name)
        if isinstance(inside, Mapping) and "class_type" not in data:
            return _flow(inside, widgets)
    nodes = {name: node for name, node in data.items() if isinstance(node, Mapping) and "class_type" in node}
    if not nodes:
        raise RequestError(
            "JSON of another kind; expected a ComfyUI workflow: nodes and links (saved by its menu), or"
            f" nodes with class_type (saved for its API); given {', '.join(map(repr, list(data)[:5]))}"
        )
    return flow_of_api(nodes)
