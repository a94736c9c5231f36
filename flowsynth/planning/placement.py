"""Where nodes run: an inventory of devices found without torch, and a place for every node."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil

from flowsynth.core.devices import cuda_devices, device_arch
from flowsynth.core.edges import ModelEdge, Node
from flowsynth.core.errors import Fault, GraphError, RequestError, listing, nearest
from flowsynth.core.graph import CoreGraph
from flowsynth.core.operator import Operator
from flowsynth.core.options import parse_size
from flowsynth.core.registry import operator_names
from flowsynth.core.rules import Rule, class_memory


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device that nodes can be placed on.

    Attributes:
        name: torch's name of it, or ``sim:N``.
        memory: bytes in all.
        arch: its architecture: equal ones give equal results.
    """

    name: str
    memory: int
    arch: str = ""

    @property
    def type(self) -> str:
        """Its class: ``cpu``, ``cuda``, ``mps`` or ``sim``."""
        return self.name.partition(":")[0]


#: Sizes of the simulated devices that ``auto`` may use, as in ``FLOWSYNTH_SIM=8GB,8GB``.
SIMULATED = "FLOWSYNTH_SIM"
#: Libraries that compute on accelerators.
_ON_DEVICES = frozenset({"torch", "triton", "diffusers", "transformers"})
#: Share of a device's memory that models may take.
FOR_MODELS = 0.8


@cache
def inventory() -> tuple[DeviceSpec, ...]:
    """The devices of this machine: accelerators first, then the CPU.

    Raises:
        RequestError: simulated devices of a size that is none.
    """
    found = [DeviceSpec(f"cuda:{i}", memory, arch) for i, (memory, arch) in enumerate(cuda_devices())]
    memory, own = psutil.virtual_memory().total, device_arch("cpu")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append(DeviceSpec("mps", memory, own))
    return (*found, *_simulated(own), DeviceSpec("cpu", memory, own))


def _simulated(arch: str) -> list[DeviceSpec]:
    texts = [text for text in os.environ.get(SIMULATED, "").split(",") if text.strip()]
    try:
        return [DeviceSpec(f"sim:{i}", int(parse_size(text)), arch) for i, text in enumerate(texts)]
    except ValueError as error:
        given = os.environ[SIMULATED]
        raise RequestError(f"{SIMULATED}: {error}, one for each device; given {given!r}") from None


def model_budget(device: str) -> int | None:
    """Bytes that models may take of a simulated device whose size is said; None for all others."""
    memory = simulated_memory(device)
    return None if memory is None else int(memory * FOR_MODELS)


def simulated_memory(device: str) -> int | None:
    """Bytes of a simulated device whose size is said; None for all others."""
    found = [spec.memory for spec in inventory() if spec.name == device and spec.type == "sim"]
    return found[0] if found else None


def place(
    graph: CoreGraph,
    default: str = "auto",
    devices: Sequence[DeviceSpec] | None = None,
    rules: Sequence[Rule] = (),
) -> dict[str, str]:
    """A device for every node.

    A node's own ``device`` wins, then the run's, then the first rule that fits. A class (``gpu_24g``) is one
    of the accelerators with so much memory. ``auto`` takes the accelerator with the most memory; nodes
    that use a model stay together on one. Different models spread over several: the largest first, each to
    one where its weights fit beside those that are there, and of these to one with the fewest models. Nodes
    that read or encode files, and those that need no tensor library, stay on the CPU.

    Args:
        graph: the graph.
        default: what ``auto`` means for this run.
        devices: the inventory; this machine's unless given.
        rules: for nodes that leave it to the run, which leaves it too.

    Raises:
        GraphError: a device that is not here, a rule about what there is not.
    """
    devices = list(inventory() if devices is None else devices)
    faults = rule_faults(rules)
    fast = accelerators(devices)
    homes: dict[str, dict[str, str]] = {}
    places = {}
    for node in graph.nodes.values():
        asked = asked_of(graph, node, default, rules)
        able = _able(asked, fast)
        if able is None:
            places[node.name] = _named(asked, devices)
        elif able and asked not in homes:
            homes[asked] = _homes(graph.models, able)
        if able is not None:
            places[node.name] = _auto(node, homes.get(asked, {}), able, asked)
        if not places[node.name]:
            names = listing([d.name for d in devices] + ["sim:N"])
            faults.append(Fault(f"nodes.{node.name}.device", "no such device here", names, asked))
    if faults:
        raise GraphError(faults, graph.name)
    return places


def asked_of(graph: CoreGraph, node: Node, default: str, rules: Sequence[Rule]) -> str:
    """The device, the class or the ``auto`` that is asked for a node."""
    if node.device != "auto" or default != "auto" or not rules:
        return node.device if node.device != "auto" else default
    families = {str(graph.models[name].get("family")) for name in _model_names(node)}
    op = type(node.operator).op
    return next((rule.device for rule in rules if rule.fits(op, families)), "auto")


def rule_faults(rules: Sequence[Rule]) -> list[Fault]:
    """What is wrong with rules: names of operators and families that there are not."""
    from flowsynth.models.registry import family_names

    found = []
    for i, rule in enumerate(rules):
        for name, given, known in (
            ("op", rule.op, operator_names()),
            ("family", rule.family, family_names()),
        ):
            if given is not None and given not in known:
                path = f"placement.rules[{i}].{name}"
                found.append(
                    Fault(path, f"no such {name}", listing(known), repr(given), nearest(given, known))
                )
    return found


def _able(asked: str, fast: Sequence[DeviceSpec]) -> list[DeviceSpec] | None:
    """The accelerators that are asked for; None where one device is."""
    least = 0 if asked == "auto" else class_memory(asked)
    return None if least is None else [device for device in fast if device.memory >= least]


def others(
    graph: CoreGraph,
    places: Mapping[str, str],
    default: str = "auto",
    devices: Sequence[DeviceSpec] | None = None,
    rules: Sequence[Rule] = (),
) -> dict[str, tuple[str, ...]]:
    """The devices that may take a node's tasks while its own is busy; nodes with none are left out.

    Only `auto` and classes leave the choice. They are of the same architecture, so that results are the same,
    and have as much memory; a node with a model goes to those that are the home of no other model of the
    graph, which would have to make room.

    Args:
        graph: the graph.
        places: node -> its device.
        default: what ``auto`` means for this run.
        devices: the inventory; this machine's unless given.
        rules: see `place`.
    """
    fast = accelerators(list(inventory() if devices is None else devices))
    if len(fast) < 2:
        return {}
    homes: dict[str, set[str]] = {}
    for name, node in graph.nodes.items():
        homes.setdefault(places[name], set()).update(_model_names(node))
    found: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():
        if type(node.operator).io or _able(asked_of(graph, node, default, rules), fast) is None:
            continue
        own = set(_model_names(node))
        like = [d.name for d in alike(places[name], fast) if d.name != places[name]]
        found[name] = tuple(d for d in like if not own or not homes.get(d, own) - own)
    return {name: names for name, names in found.items() if names}


def alike(place: str, fast: Sequence[DeviceSpec]) -> list[DeviceSpec]:
    """The devices that give the same results as one and have as much memory; itself among them."""
    home = next((device for device in fast if device.name == place), None)
    if home is None:
        return []
    return [d for d in fast if (d.type, d.arch) == (home.type, home.arch) and d.memory >= home.memory]


def _model_names(node: Node) -> list[str]:
    return [s.model for sources in node.inputs.values() for s in sources if isinstance(s, ModelEdge)]


def accelerators(devices: Sequence[DeviceSpec]) -> list[DeviceSpec]:
    """The devices that ``auto`` chooses among, the one with the most memory first."""
    return sorted((d for d in devices if d.type in ("cuda", "mps", "sim")), key=lambda d: -d.memory)


def _homes(models: Mapping[str, Mapping[str, Any]], fast: Sequence[DeviceSpec]) -> dict[str, str]:
    """Model -> the device that its nodes run on."""
    if len(fast) == 1:
        return dict.fromkeys(models, fast[0].name)
    from flowsynth.models.weigh import weight_bytes

    sizes = {name: weight_bytes(spec) for name, spec in models.items()}
    room = {device.name: device.memory for device in fast}
    count = dict.fromkeys(room, 0)
    homes: dict[str, str] = {}
    for name in sorted(models, key=lambda model: -sizes[model]):
        fits = [device for device in room if sizes[name] <= room[device] * FOR_MODELS]
        home = min(fits or room, key=lambda device: (count[device] if fits else 0, -room[device]))
        homes[name] = home
        room[home] -= sizes[name]
        count[home] += 1
    return homes


def _auto(node: Node, homes: Mapping[str, str], fast: Sequence[DeviceSpec], asked: str) -> str:
    models = _model_names(node)
    if models and models[0] in homes:
        return homes[models[0]]
    operator = type(node.operator)
    if asked != "auto":  # a class: it was chosen for this node
        return fast[0].name if fast else ""
    return fast[0].name if fast and _computes(operator) else "cpu"


def _computes(operator: type[Operator]) -> bool:
    """Whether an accelerator is of use: who only reads, encodes and counts would keep others from it."""
    return bool(_ON_DEVICES.intersection(operator.libraries)) and not operator.io


def _named(asked: str, devices: Sequence[DeviceSpec]) -> str:
    if asked.startswith("sim:"):
        return asked
    return next((d.name for d in devices if asked in (d.name, d.type)), "")
