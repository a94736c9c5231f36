"""A graph in the making: nodes by name, and the models that they use before it is clear which is which."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flowsynth.comfyui.mapping.values import Edge, Use
from flowsynth.core.canonical import Json


@dataclass
class Made:
    """A node of the graph.

    Attributes:
        op: its operator.
        inputs: edges and models by port.
        params: its fields.
        origin: the node that it stands for.
        notes: further lines of its comment.
    """

    op: str
    inputs: dict[str, Edge | list[Edge] | Use]
    params: dict[str, Json]
    origin: str
    notes: list[str] = field(default_factory=list)


@dataclass
class Sketch:
    """Nodes by name, outputs, and what the user should know.

    Attributes:
        nodes: in the order of the workflow.
        outputs: names of those that write results.
        notes: one for each thing that differs from the workflow.
        hints: node classes of the workflow; see :func:`.architectures.arch_of`.
        near: take what comes nearest where diffusers has no equal.
    """

    nodes: dict[str, Made] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hints: frozenset[str] = frozenset()
    near: bool = False

    def add(self, wanted: str, made: Made) -> Edge:
        """Add a node under a name that no other has; equal nodes become one."""
        for name, other in self.nodes.items():
            if (other.op, other.inputs, other.params) == (made.op, made.inputs, made.params):
                return name
        base = re.sub(r"\W+", "_", wanted).strip("_")
        name, count = base, 1
        while name in self.nodes:
            count += 1
            name = f"{base}_{count}"
        self.nodes[name] = made
        return name
