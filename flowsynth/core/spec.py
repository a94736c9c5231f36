"""From a mapping (composed YAML) to a graph, with every fault found at once; and back to YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowsynth.core.checks import GRAPH_NAME, name_faults, node_faults, operator_faults
from flowsynth.core.edges import Feed, ModelEdge, Node, parse_source
from flowsynth.core.errors import Fault, GraphError, listing, nearest
from flowsynth.core.graph import CoreGraph
from flowsynth.core.named import operator_of
from flowsynth.core.operator import Operator
from flowsynth.core.stages import FlatNode, flatten

GRAPH_KEYS = ("name", "models", "nodes", "outputs", "description")


def build(graph: CoreGraph, data: Any) -> None:
    """Fill a graph from a mapping.

    Raises:
        GraphError: all faults, each with its path, what was expected and what was given.
    """
    faults = list(_shape_faults(data))
    if faults:
        raise GraphError(faults, str(data.get("name", "graph")) if isinstance(data, Mapping) else "graph")
    graph.name = str(data.get("name", graph.name))
    graph.models = {str(k): dict(v) for k, v in (data.get("models") or {}).items()}
    flat, faults = flatten(data.get("nodes") or {})
    operators = {node.name: operator_of(node.op, node.params, node.path, faults) for node in flat}
    broken = [at for node in flat for at in _add(graph, node, operators, faults)]
    paths = {node.name: node.path for node in flat}
    found = [f for node in graph.nodes.values() for f in node_faults(graph, node, paths[node.name])]
    reported = {*broken, *(fault.path for fault in faults)}
    faults += [f for f in found if _is_news(f, reported)]
    faults += list(_cycle_faults(graph))
    if not faults:
        faults += [f for node in flat for f in operator_faults(graph, graph.nodes[node.name], node.path)]
    graph.stages = {name: text for node in flat for name, text in node.stage_outputs.items()}
    graph.outputs = [_flat_output(graph, str(text)) for text in data.get("outputs") or []]
    broken_nodes = {name for name, operator in operators.items() if operator is None}
    faults += [f for f in _output_faults(graph) if f.given.strip("'").partition(".")[0] not in broken_nodes]
    if faults:
        raise GraphError(faults, graph.name)


def _flat_output(graph: CoreGraph, text: str) -> str:
    """An output's name after stages were flattened: a stage stands for its own output."""
    found = graph.named(text) if text not in graph.nodes else None
    return str(found) if found is not None else text


def _shape_faults(data: Any) -> Iterator[Fault]:
    if not isinstance(data, Mapping):
        yield Fault("graph", "not a mapping", "name, models, nodes, outputs", type(data).__name__)
        return
    for key in data:
        if key not in GRAPH_KEYS:
            yield Fault(
                str(key), "unknown key", listing(GRAPH_KEYS), repr(key), nearest(str(key), GRAPH_KEYS)
            )
    name = data.get("name", "graph")
    if not isinstance(name, str) or not GRAPH_NAME.fullmatch(name):
        expected = "a text that can be the name of a folder: at most 100 characters, no slashes, no dot first"
        yield Fault("name", "bad name", expected, repr(name)[:80])
    nodes, models, outputs = data.get("nodes"), data.get("models"), data.get("outputs")
    if not isinstance(nodes, Mapping) or not nodes:
        yield Fault("nodes", "not a mapping of named nodes", "name: {op: ...}", _kind(nodes))
    if models is not None and not isinstance(models, Mapping):
        yield Fault(
            "models", "not a mapping of named models", "name: {family: ..., source: ...}", _kind(models)
        )
    for name, model in (models or {}).items() if isinstance(models, Mapping) else ():
        if not isinstance(model, Mapping):
            yield Fault(f"models.{name}", "not a mapping", "family, source, ...", _kind(model))
    if outputs is not None and (
        not isinstance(outputs, list) or not all(isinstance(o, str) for o in outputs)
    ):
        yield Fault("outputs", "not a list of node names", "[node, node.port]", _kind(outputs))


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _is_news(fault: Fault, reported: set[str]) -> bool:
    """Whether a port's fault is more than the shadow of one that was noted already."""
    if fault.message.startswith("unknown port"):
        return True
    # A port that is missing may stand under params instead.
    head, _, port = fault.path.rpartition(".inputs.")
    return fault.path not in reported and f"{head}.params.{port}" not in reported


def _add(
    graph: CoreGraph, node: FlatNode, operators: Mapping[str, Operator | None], faults: list[Fault]
) -> list[str]:
    """Add a node; returns the ports whose upstream is broken itself (their own faults would be noise)."""
    inputs: dict[str, tuple[Feed, ...]] = {}
    for port, texts in node.inputs.items():
        sources: list[Feed] = []
        for text in texts:
            source = parse_source(text, operators)
            if source is None:
                choices = [*operators, *(f"models.{m}" for m in graph.models)]
                at = f"{node.path}.inputs.{port}"
                fault = Fault(
                    at, "no such node", f"one of {listing(choices)}", repr(text), nearest(text, choices)
                )
                faults.append(fault)
            elif isinstance(source, ModelEdge) or operators[source.node] is not None:
                sources.append(source)
        if sources or texts:
            inputs[port] = tuple(sources)
    operator = operators[node.name]
    if operator is None:
        return []
    faults += name_faults(graph, node.name)
    graph.nodes[node.name] = Node(node.name, operator, inputs, node.device, node.cache)
    return [
        f"{node.path}.inputs.{port}" for port, sources in inputs.items() if not sources and node.inputs[port]
    ]


def _cycle_faults(graph: CoreGraph) -> Iterator[Fault]:
    waiting = dict.fromkeys(graph.nodes, 0)
    consumers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for node in graph.nodes.values():
        for _, edge in node.edges():
            if edge.node in waiting:
                waiting[node.name] += 1
                consumers[edge.node].append(node.name)
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:
        for consumer in consumers[name]:
            waiting[consumer] -= 1
            if waiting[consumer] == 0:
                ready.append(consumer)
    if len(ready) < len(graph.nodes):
        import networkx

        cycle = networkx.find_cycle(graph.to_networkx())
        path = [edge[0] for edge in cycle]
        yield Fault(f"nodes.{path[0]}", "cycle", "a graph without cycles", " -> ".join([*path, path[0]]))


def _output_faults(graph: CoreGraph) -> list[Fault]:
    try:
        graph.wanted(graph.outputs)
    except GraphError as error:
        return list(error.faults)
    return []


def to_spec(graph: CoreGraph, *, nodes: bool = True) -> dict[str, Any]:
    """The graph as a mapping that `build` takes: only what differs from the defaults.

    Args:
        graph: the graph.
        nodes: with its nodes; without, there is an empty mapping in their place.
    """
    spec: dict[str, Any] = {"name": graph.name}
    if graph.models:
        spec["models"] = {name: dict(model) for name, model in graph.models.items()}
    spec["nodes"] = {name: node_spec(node) for name, node in graph.nodes.items()} if nodes else {}
    if graph.outputs:
        spec["outputs"] = [str(name) for name in graph.outputs]
    return spec


def node_spec(node: Node) -> dict[str, Any]:
    """One node of such a mapping."""
    spec: dict[str, Any] = {"op": type(node.operator).op}
    if node.inputs:
        spec["inputs"] = {
            port: str(sources[0]) if len(sources) == 1 else [str(s) for s in sources]
            for port, sources in node.inputs.items()
        }
    params = node.operator.model_dump(mode="json", exclude_defaults=True)
    if params:
        spec["params"] = params
    for key, default in (("device", "auto"), ("cache", "auto")):
        if getattr(node, key) != default:
            spec[key] = getattr(node, key)
    return spec
