"""Stages: a node may be a nested mapping of nodes. Here they are flattened to plain names.

A stage's nodes become ``stage/node``. An edge inside a stage names a node of the stage first, then a port
that the stage was given under its own ``inputs``, then whatever lies outward. Seen from outside, ``stage``
stands for the node that its ``output`` names, and ``stage.node`` for one of its nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowsynth.core.errors import Fault, listing, nearest

NODE_KEYS = ("op", "inputs", "params", "device", "cache")
EDGE_FORM = "node, node.port or models.name (values go under params)"
STAGE_KEYS = ("nodes", "inputs", "output", "device", "cache")


@dataclass(slots=True)
class FlatNode:
    """A node after flattening.

    Attributes:
        name: ``stage/node``, or the plain name.
        path: where it stands in the YAML, such as ``nodes.stage.nodes.node``.
        op: name of the operator, empty where it has none (which is a fault).
        inputs: port -> texts of edges, resolved to flat names.
        params: the operator's fields.
        device: where to run.
        cache: the cache policy.
        stage_outputs: names under which stages offer this node's output.
    """

    name: str
    path: str
    op: str
    inputs: dict[str, list[str]] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    cache: str = "auto"
    stage_outputs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Scope:
    """What names mean inside one mapping of nodes: name -> flat edge text, or a stage's own scope.

    Attributes:
        outer: the scope around a stage.
        prefix: what the names of its nodes begin with.
        path: where the stage stands in the YAML.
        given: inputs of the stage -> what was given for them.
        nodes: its nodes -> their flat names.
        stages: the stages in it.
        output: the node that the stage stands for.
        read: the names that edges inside began with.
    """

    outer: _Scope | None
    prefix: str
    path: str = ""
    given: dict[str, list[str]] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    stages: dict[str, _Scope] = field(default_factory=dict)
    output: str = ""
    read: set[str] = field(default_factory=set)

    def resolve(self, text: str) -> list[str]:
        """The flat edges that a text means here; the text itself where it means nothing.

        Raises:
            ValueError: it asks for an output of an input of the stage that is one output already.
        """
        head, _, tail = text.partition(".")
        scope: _Scope | None = self
        while scope is not None:
            scope.read.add(head)
            if head in scope.nodes:
                return [scope.nodes[head] + (f".{tail}" if tail else "")]
            if head in scope.stages:
                return scope.stages[head].inside(tail) or [text]
            if head in scope.given and scope.outer is not None:
                flats = [flat for given in scope.given[head] for flat in scope.outer.resolve(given)]
                return [_output(flat, tail, head) for flat in flats] if tail else flats
            scope = scope.outer
        return [text]

    def inside(self, text: str) -> list[str]:
        """What ``stage`` or ``stage.node`` means, seen from outside the stage."""
        head, _, tail = (text or self.output).partition(".")
        if head in self.nodes:
            return [self.nodes[head] + (f".{tail}" if tail else "")]
        if head in self.stages:
            return self.stages[head].inside(tail)
        own = self.inside("") if text and text != self.output else []
        return [f"{own[0]}.{text}"] if own and "." not in f"{own[0]}{text}" else []


def _output(flat: str, port: str, given: str) -> str:
    if "." in flat:
        raise ValueError(f"{given} is {flat} here, which has no outputs of its own")
    return f"{flat}.{port}"


def flatten(nodes: Mapping[str, Any]) -> tuple[list[FlatNode], list[Fault]]:
    """All nodes of nested stages as one list, edges resolved, and what is wrong with their shape."""
    root, found = _Scope(None, ""), _Found()
    _walk(nodes, root, "nodes", found)
    for node, scope, inputs in found.pending:
        for port, texts in _edge_texts(inputs, node.path, found.faults).items():
            node.inputs[str(port)] = _resolved(texts, scope, f"{node.path}.inputs.{port}", found)
    _unread(root, found)
    _offer(root, found.flat)
    return found.flat, found.faults


def _resolved(texts: list[str], scope: _Scope, path: str, found: _Found) -> list[str]:
    try:
        return [flat for text in texts for flat in scope.resolve(text)]
    except ValueError as error:
        found.fault(path, str(error), EDGE_FORM, listing(map(repr, texts)))
        return []


def _unread(root: _Scope, found: _Found) -> None:
    """What a stage is given and nothing in it reads: a name that is misspelt here or there."""
    scopes = [root]
    for scope in scopes:
        scopes += scope.stages.values()
        for name in scope.given:
            if name not in scope.read or name in scope.nodes or name in scope.stages:
                open_ = sorted(scope.read - {*scope.nodes, *scope.stages, *scope.given})
                at = f"{scope.path}.inputs.{name}"
                said = Fault(
                    at, "no node of the stage reads it", listing(open_), repr(name), nearest(name, open_)
                )
                found.faults.append(said)


@dataclass(slots=True)
class _Found:
    """What a walk has met: nodes, their edges still to be resolved in their scope, and faults."""

    flat: list[FlatNode] = field(default_factory=list)
    pending: list[tuple[FlatNode, _Scope, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, *said: str) -> None:
        """Note a fault: path, message, expected, given."""
        self.faults.append(Fault(*said))


def _walk(nodes: Mapping[str, Any], scope: _Scope, path: str, found: _Found) -> None:
    for name, node in nodes.items():
        at = f"{path}.{name}"
        if not isinstance(node, Mapping):
            found.fault(at, "not a node", "a mapping with op, inputs, params", type(node).__name__)
            _node(str(name), {}, scope, at, found)  # its name is known: what refers to it is no other fault
            continue
        keys = STAGE_KEYS if "nodes" in node else NODE_KEYS
        found.faults += [
            Fault(f"{at}.{key}", "unknown key", listing(keys), repr(key), nearest(str(key), keys))
            for key in node
            if key not in keys
        ]
        if "nodes" in node:
            _stage(str(name), node, scope, at, found)
        elif not isinstance(node.get("op"), str):
            found.fault(f"{at}.op", "missing operator", "the name of an operator", repr(node.get("op")))
            _node(str(name), {**node, "op": ""}, scope, at, found)
        else:
            _node(str(name), node, scope, at, found)


def _node(name: str, node: Mapping[str, Any], scope: _Scope, path: str, found: _Found) -> None:
    params = node.get("params") or {}
    if not isinstance(params, Mapping):
        found.fault(f"{path}.params", "not a mapping", "param: value", type(params).__name__)
        params = {}
    flat_name = scope.prefix + name
    scope.nodes[name] = flat_name
    device, cache = _text(node, "device"), _text(node, "cache")
    made = FlatNode(flat_name, path, node.get("op", ""), params=dict(params), device=device, cache=cache)
    found.flat.append(made)
    found.pending.append((made, scope, node.get("inputs")))


def _stage(name: str, node: Mapping[str, Any], scope: _Scope, path: str, found: _Found) -> None:
    inner = _Scope(scope, f"{scope.prefix}{name}/", path, output=str(node.get("output") or ""))
    scope.stages[name] = inner
    if not isinstance(node["nodes"], Mapping) or not node["nodes"]:
        found.fault(f"{path}.nodes", "not a mapping of named nodes", "name: {op: ...}", repr(node["nodes"]))
        return
    inner.given = _edge_texts(node.get("inputs"), path, found.faults)
    start = len(found.flat)
    _walk(node["nodes"], inner, f"{path}.nodes", found)
    inner.output = inner.output or str(list(node["nodes"])[-1])
    if not inner.inside(""):
        expected = listing([*inner.nodes, *inner.stages])
        found.fault(f"{path}.output", "no such node in the stage", expected, repr(inner.output))
    for made in found.flat[start:]:
        made.device = made.device if made.device != "auto" else _text(node, "device")
        made.cache = made.cache if made.cache != "auto" else _text(node, "cache")


def _text(node: Mapping[str, Any], key: str) -> str:
    """What a node says of its placement: only null says nothing, ``cache: false`` is a fault."""
    value = node.get(key)
    return "auto" if value is None else str(value)


def _edge_texts(inputs: Any, path: str, faults: list[Fault]) -> dict[str, list[str]]:
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        faults.append(
            Fault(f"{path}.inputs", "not a mapping", "port: node or [node, node]", type(inputs).__name__)
        )
        return {}
    texts: dict[str, list[str]] = {}
    for port, value in inputs.items():
        items = value if isinstance(value, (list, tuple)) else [value]
        bad = [item for item in items if not isinstance(item, str)]
        if value is None:
            continue
        if bad:
            at = f"{path}.inputs.{port}"
            faults.append(Fault(at, "not an edge", EDGE_FORM, repr(bad[0])))
        else:
            texts[str(port)] = list(items)
    return texts


def _offer(scope: _Scope, flat: list[FlatNode]) -> None:
    by_name = {node.name: node for node in flat}
    stack = [(scope, "")]
    while stack:
        here, prefix = stack.pop()
        for name, inner in here.stages.items():
            edges = inner.inside("")
            target = edges[0].partition(".")[0] if edges else ""
            if target in by_name:
                by_name[target].stage_outputs[f"{prefix}{name}"] = edges[0]
            for node_name, flat_name in inner.nodes.items():
                by_name[flat_name].stage_outputs[f"{prefix}{name}.{node_name}"] = flat_name
            stack.append((inner, f"{prefix}{name}."))
