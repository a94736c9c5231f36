"""What a worker elsewhere is told when it starts, and what it says of itself: both plain data."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from flowsynth._version import __version__
from flowsynth.cache.platform import host_tag
from flowsynth.cache.store import Cache
from flowsynth.core.devices import PRECISION_VARIABLE, Facts, own_facts
from flowsynth.core.errors import RequestError, listing
from flowsynth.core.keys import library_version
from flowsynth.executors.host import RunHost
from flowsynth.planning.host import PlanHost
from flowsynth.planning.placement import DeviceSpec, inventory

#: Whose versions must be the driver's: those that results are made with.
LIBRARIES = ("torch", "diffusers", "transformers", "av", "numpy", "pillow")
#: What of the driver's environment decides results, and is the same for a worker.
ENVIRONMENT = (PRECISION_VARIABLE, "OMP_NUM_THREADS")

#: Where workers keep objects: the driver's folder, one of their own, or as they see the driver's or not.
CacheChoice: TypeAlias = Literal["auto", "shared", "own"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to know.

    Attributes:
        root: the driver's cache folder.
        nonce: name of a file in it that is there now: who sees it sees that folder.
        cache: where it keeps objects.
        offline: never touch the network.
        max_bytes: budget of the objects in a folder of its own; None for no limit.
        model_bytes: budget of the loaded models of a device, as for a session.
        share: how many workers of its machine have the same memory.
        debug: keep tracebacks in error messages.
        environment: variables that decide results.
    """

    root: str
    nonce: str
    cache: CacheChoice
    offline: bool
    max_bytes: int | None
    model_bytes: int | None
    share: int = 1
    debug: bool = False
    environment: Mapping[str, str | None] | None = None


class Hello(NamedTuple):
    """What a node says of itself.

    Attributes:
        machine: names the machine; several nodes may be on one.
        folder: its cache folder.
        shared: that is the driver's.
        versions: what results are made with.
        devices: its devices, as `DeviceSpec` holds them.
        facts: device -> what results depend on.
        cores: of its processors.
    """

    machine: str
    folder: str
    shared: bool
    versions: Mapping[str, str]
    devices: Sequence[tuple[str, int, str]]
    facts: Mapping[str, Facts]
    cores: int


class Station(Protocol):
    """What a worker has besides its cache: an open session, as the layer above makes it."""

    @property
    def cache(self) -> Cache:
        """Its cache."""
        ...

    @property
    def keys(self) -> PlanHost:
        """What keys are made of."""
        ...

    def host(self, specs: Mapping[str, Mapping[str, Any]]) -> RunHost:
        """Contexts and models for a graph's entries under ``models:``."""
        ...


#: Opens one: (cache folder, offline, budget of objects, budget of models). Workers import it by name.
Opener: TypeAlias = Callable[[str, bool, "int | None", "int | None"], AbstractContextManager[Station]]


def own_versions() -> dict[str, str]:
    """Versions of Python, flowsynth and the libraries, without importing them."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "flowsynth": __version__,
        "python": python,
        **{name: library_version(name) for name in LIBRARIES},
    }


def introduction(folder: str, shared: bool) -> Hello:
    """What this process says of its node."""
    devices = [(spec.name, spec.memory, spec.arch) for spec in inventory()]
    facts = {name: own_facts(name) for name, _, _ in devices if not name.startswith("sim:")}
    return Hello(host_tag(), folder, shared, own_versions(), devices, facts, os.cpu_count() or 1)


def differences(hellos: Mapping[str, Hello]) -> list[str]:
    """What forbids that nodes work together: other versions than the driver's, unlike devices."""
    own, found = own_versions(), []
    for address, hello in hellos.items():
        wrong = [f"{n} {hello.versions.get(n)}" for n in own if hello.versions.get(n) != own[n]]
        if wrong:
            here = listing(f"{n} {own[n]}" for n in own if hello.versions.get(n) != own[n])
            found.append(f"{address} has {', '.join(wrong)}; expected {here} as here")
    kinds: dict[str, tuple[str, Facts]] = {}
    for address, hello in hellos.items():
        for name, fact in hello.facts.items():
            kind = name.partition(":")[0]
            first, known = kinds.setdefault(kind, (address, fact))
            if known != fact:
                found.append(
                    f"{name} of {address} is {_described(fact)} and that of {first} {_described(known)}: "
                    "results would differ in their last bits; expected one kind of each device"
                )
    return found


def _described(facts: Facts) -> str:
    return facts.arch + (" with bfloat16" if facts.bfloat16 else "")


def require_alike(hellos: Mapping[str, Hello]) -> None:
    """See that all nodes give the results that the driver's keys promise.

    Raises:
        RequestError: what differs, in one message.
    """
    if found := differences(hellos):
        raise RequestError("ray: " + "\n  ".join(found))


def specs_of(hellos: Sequence[Hello]) -> list[DeviceSpec]:
    """The devices that nodes have, by name: of several of one name the one with the least memory."""
    found: dict[str, DeviceSpec] = {}
    for hello in hellos:
        for name, memory, arch in hello.devices:
            if name not in found or memory < found[name].memory:
                found[name] = DeviceSpec(name, memory, arch)
    return list(found.values())


def environment() -> dict[str, str | None]:
    """What workers shall have of this process's environment."""
    return {name: os.environ.get(name) for name in ENVIRONMENT}


def adopt(setup: Setup) -> None:
    """Have the driver's environment, before torch is imported."""
    for name, value in (setup.environment or {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def plain(setup: Setup) -> dict[str, Any]:
    """A setup as plain data."""
    return asdict(setup)
