"""Where nodes run: an inventory of devices found without torch, and a place for every node."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import psutil

from flowsynth.core.errors import Fault, GraphError, listing
from flowsynth.core.graph import CoreGraph, ModelEdge, Node


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device that nodes can be placed on.

    Attributes:
        name: torch's name of it, or ``sim:N``.
        memory: bytes in all.
    """

    name: str
    memory: int

    @property
    def type(self) -> str:
        """Its class: ``cpu``, ``cuda``, ``mps`` or ``sim``."""
        return self.name.partition(":")[0]


@cache
def inventory() -> tuple[DeviceSpec, ...]:
    """The devices of this machine: accelerators first, then the CPU."""
    found = list(_cuda())
    memory = psutil.virtual_memory().total
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append(DeviceSpec("mps", memory))
    return (*found, DeviceSpec("cpu", memory))


def _cuda() -> list[DeviceSpec]:
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [
            DeviceSpec(f"cuda:{i}", pynvml.nvmlDeviceGetMemoryInfo(h).total) for i, h in enumerate(handles)
        ]
    except pynvml.NVMLError:
        return []


def place(
    graph: CoreGraph, default: str = "auto", devices: Sequence[DeviceSpec] | None = None
) -> dict[str, str]:
    """A device for every node.

    A node's own ``device`` wins, then the run's. ``auto`` takes the accelerator with the most memory; nodes
    that use a model stay together on one, and different models spread over several. Nodes that read files,
    and those that need no tensor library, stay on the CPU.

    Args:
        graph: the graph.
        default: what ``auto`` means for this run.
        devices: the inventory; this machine's unless given.

    Raises:
        GraphError: a device that is not here.
    """
    devices = list(inventory() if devices is None else devices)
    fast = sorted((d for d in devices if d.type in ("cuda", "mps")), key=lambda d: -d.memory)
    homes = {model: fast[i % len(fast)].name for i, model in enumerate(graph.models)} if fast else {}
    places, faults = {}, []
    for node in graph.nodes.values():
        asked = node.device if node.device != "auto" else default
        places[node.name] = _auto(node, homes, fast) if asked == "auto" else _named(asked, devices)
        if not places[node.name]:
            names = listing([d.name for d in devices] + ["sim:N"])
            faults.append(Fault(f"nodes.{node.name}.device", "no such device here", names, asked))
    if faults:
        raise GraphError(faults, graph.name)
    return places


def _auto(node: Node, homes: Mapping[str, str], fast: Sequence[DeviceSpec]) -> str:
    models = [s.model for sources in node.inputs.values() for s in sources if isinstance(s, ModelEdge)]
    if models and models[0] in homes:
        return homes[models[0]]
    operator = type(node.operator)
    return fast[0].name if fast and operator.libraries and not operator.io else "cpu"


def _named(asked: str, devices: Sequence[DeviceSpec]) -> str:
    if asked.startswith("sim:"):
        return asked
    return next((d.name for d in devices if asked in (d.name, d.type)), "")
