"""An open cache with everything a plan and a run need around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flowsynth.api.declared import model_faults
from flowsynth.cache.location import default_cache_dir
from flowsynth.cache.store import Cache
from flowsynth.core.canonical import digest_parts
from flowsynth.core.context import RunContext
from flowsynth.core.devices import Facts, devices_of, torch_name
from flowsynth.core.errors import GraphError, RequestError, listing
from flowsynth.core.filehash import file_hash
from flowsynth.core.fingerprint import ClassSource, FingerprintMemo, class_source, source_fingerprint
from flowsynth.core.graph import CoreGraph, Name
from flowsynth.core.operator import Operator
from flowsynth.core.options import SESSION_OPTIONS, RunOptions
from flowsynth.core.rules import Rule
from flowsynth.planning.moment import Moment
from flowsynth.planning.placement import DeviceSpec, model_budget, others, place, simulated_memory
from flowsynth.planning.plan import Plan, make_plan

if TYPE_CHECKING:
    from flowsynth.executors.ray.cluster import Cluster
    from flowsynth.executors.ray.staff import Staff
    from flowsynth.models import Model, ModelManager, ModelSpec


#: How long the end of a run waits for copies to another machine; the next run sends what is left.
SETTLE_SECONDS = 60.0


class Session:
    """Plans and runs graphs against one cache folder. Use it as a context manager, or call `close`.

    Args:
        cache_dir: the cache's folder; the per-user one unless given.
        device: what ``auto`` means.
        offline: never touch the network.
        max_bytes: budget of the cache's objects; None for no limit.
        remote: address of a place behind the cache that other machines use, too; see `RunOptions`.
        model_bytes: budget of the loaded models of a device; None for 80 % of a CUDA device, half the memory
            else.
        executor: ``ray`` has all its runs computed by the workers of a cluster, kept from run to run; any
            other is chosen for each run.
        ray_address: which cluster; see `RunOptions`.
        ray_cache: where workers keep objects; see `RunOptions`.
        rules: where nodes run that leave it to the run.
        read_only: look only; nothing is written, not even a folder.
    """

    def __init__(
        self,
        cache_dir: Path | str | None = None,
        *,
        device: str = "auto",
        offline: bool = False,
        max_bytes: int | str | None = None,
        remote: str | None = None,
        model_bytes: int | str | None = None,
        executor: str = "threads",
        ray_address: str = "local",
        ray_cache: str = "auto",
        rules: Sequence[Rule] = (),
        read_only: bool = False,
    ) -> None:
        given = {"device": device, "offline": offline, "max_bytes": max_bytes, "model_bytes": model_bytes}
        far = {"remote": remote, "executor": executor, "ray_address": ray_address, "ray_cache": ray_cache}
        options = RunOptions.of({"cache_dir": cache_dir, **far, **given})
        self.notes: list[str] = []
        self.cache = self._opened(options, read_only)
        self.root = self.cache.root
        self.device = device
        self.rules = tuple(rules)
        self.offline = offline
        self.model_bytes = options.model_bytes
        self.fetch = not read_only
        self.sources = FingerprintMemo(self.root / "sources.json", read_only=read_only)
        self._lock = threading.Lock()
        self._running = 0
        self._managers: dict[str, ModelManager] = {}
        self.staff = _staff(self, options) if options.executor == "ray" and not read_only else None

    @classmethod
    def of(cls, options: RunOptions, *, rules: Sequence[Rule] = (), read_only: bool = False) -> Session:
        """A session as the options of a run ask for it.

        Args:
            options: the options.
            rules: where nodes run that leave it to the run.
            read_only: look only.
        """
        given = {name: getattr(options, name) for name in SESSION_OPTIONS}
        root = given.pop("cache_dir")
        return cls(root, **given, executor=options.executor, rules=rules, read_only=read_only)

    def _opened(self, options: RunOptions, read_only: bool) -> Cache:
        root, remote = options.cache_dir or default_cache_dir(), options.remote
        if remote and options.offline and not remote.startswith("file:"):
            self.notes.append(f"cache.remote: {remote} was not used: offline")
            remote = None
        if not remote:
            return Cache(root, max_bytes=options.max_bytes, read_only=read_only)
        from flowsynth.cache.remote import open_shared

        return open_shared(root, remote, max_bytes=options.max_bytes, read_only=read_only)

    def said(self) -> list[str]:
        """What the user should know of the cache."""
        return [*self.notes, *self.cache.said()]

    def settle(self, say: Callable[[str], None]) -> None:
        """Wait, for a while, until what was made is copied to the place behind the cache.

        Args:
            say: tells the user, if it takes some time.
        """
        self.cache.settle(SETTLE_SECONDS, say)

    def __enter__(self) -> Session:
        """The session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Commit what is queued and close the cache; loaded models are dropped."""
        self._managers.clear()
        try:
            if self.staff is not None:
                self.staff.close()
        finally:
            self.cache.close()

    def plan(
        self, graph: CoreGraph, outputs: Sequence[Name] | None = None, moment: Moment | None = None
    ) -> Plan:
        """What of a graph is in the cache, and what would run.

        Args:
            graph: a checked graph.
            outputs: what to deliver; the graph's own outputs unless given.
            moment: what plans made at one moment share; then none of them looks for changes again.

        Raises:
            RequestError: an output, a file, a device or a model that does not exist.
            GraphError: what is wrong with declared models.
        """
        if moment is None or not moment.begun:
            if faults := model_faults(graph.models):  # those built in Python: others were looked at before
                raise GraphError(faults, graph.name)
            self.sources.look_again()
        with devices_of(self.facts):
            return make_plan(graph, self, outputs, moment)

    def own_options(self, options: RunOptions) -> RunOptions:
        """The options of a run in this session: what its workers do is no run's choice."""
        return options if self.staff is None else options.model_copy(update={"executor": "ray"})

    @property
    def facts(self) -> Mapping[str, Facts] | None:
        """What results depend on, of the devices that will compute them; None for this machine's.

        Raises:
            RequestError: they are a cluster's, and it cannot be used.
        """
        return None if self._cluster is None else self._cluster.facts()

    @property
    def _cluster(self) -> Cluster | None:
        """The cluster, if it must be asked before a plan is made: one that is this machine need not be."""
        if self.staff is None or self.staff.cluster.address == "local":
            return None
        self.staff.cluster.connect()
        return self.staff.cluster

    def require_writable(self, plan: Plan) -> None:
        """See that what a plan has to run can be kept.

        Raises:
            RequestError: the cache can only be read.
        """
        if self.cache.read_only and plan.executing():
            names = listing(step.name for step in plan.executing())
            raise RequestError(
                f"cache: {self.root} can only be read, and {names} would have to run; set cache.dir to a "
                "folder that you may write to"
            )

    def file_hash(self, path: Path) -> str:
        """Content hash of a file, remembered by its size and times."""
        return file_hash(path, memo=None if self.cache.read_only else self.root / "file_hashes")

    def place(self, graph: CoreGraph) -> Mapping[str, str]:
        """Node -> device for a whole graph."""
        return place(graph, self.device, self._devices(), self.rules)

    def others(self, graph: CoreGraph, places: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
        """Node -> devices that may compute it as well as the one where it is placed."""
        return others(graph, places, self.device, self._devices(), self.rules)

    def _devices(self) -> Sequence[DeviceSpec] | None:
        return None if self._cluster is None else self._cluster.devices()

    @contextmanager
    def running(self) -> Iterator[None]:
        """While a run goes: eviction leaves alone what it reads and makes, until the last run has ended."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self.cache.release()

    def lookup(self, key: str) -> bytes | None:
        """The index row under a key."""
        return self.cache.lookup(key)

    def lookup_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The index rows that exist under some keys."""
        return self.cache.lookup_many(keys)

    def has_object(self, key: str) -> bool:
        """Whether an object is in the store."""
        return self.cache.has_object(key)

    def source(self, cls: type) -> ClassSource:
        """The code of an operator class, or of a class whose objects are among params."""
        declares = issubclass(cls, Operator) and cls.files is not Operator.files
        uses = getattr(cls, "uses", ()) if issubclass(cls, Operator) else ()
        return class_source(cls, uses=uses, declares_files=declares, memo=self.sources)

    def model_fingerprint(
        self, name: str, spec: Mapping[str, Any], parts: tuple[str, ...] = (), device: str = "cpu"
    ) -> str:
        """The fingerprint of a model's weights and settings, and of the source of its family.

        Args:
            name: the model's, for messages.
            spec: its entry under ``models:``.
            parts: which of its parts; all unless given.
            device: where it is loaded, which decides what dtype ``auto`` is.

        Raises:
            RequestError: the model cannot be found.
        """
        from flowsynth.models import model_fingerprint
        from flowsynth.models.registry import family

        parsed = self._spec(name, spec).on(device)
        code = source_fingerprint(type(family(parsed.family)), memo=self.sources)
        return digest_parts([model_fingerprint(parsed, self.root, parts), code])

    def _spec(self, name: str, spec: Mapping[str, Any]) -> ModelSpec:
        from flowsynth.models import parse_model

        return parse_model(name, spec)

    def context(self, node: str, device: str) -> RunContext:
        """A context for an operator of a node."""
        return RunContext(
            device=torch_name(device),
            node=node,
            models=self._managers.get(device),
            cache_dir=self.root,
            offline=self.offline,
        )

    def model(self, name: str, spec: Mapping[str, Any]) -> Model:
        """What a model port gets."""
        from flowsynth.models import Model

        return Model(self._spec(name, spec), name)

    def resident(self, device: str, specs: Sequence[ModelSpec]) -> bool:
        """Whether some part of each of these models is loaded on a device, as far as is known at once."""
        manager = self._managers.get(device)
        return manager is not None and manager.resident(specs)

    def relieve(self, device: str) -> None:
        """Drop all models that are loaded on a device and in nobody's use."""
        if device in self._managers:
            self._managers[device].relieve()

    def prepare_managers(self, devices: Sequence[str]) -> None:
        """A model manager for every device that runs nodes with models."""
        from flowsynth.models import ModelManager

        with self._lock:
            for device in devices:
                if device not in self._managers:
                    budget = self.model_bytes if self.model_bytes is not None else model_budget(device)
                    self._managers[device] = ModelManager(
                        torch_name(device),
                        budget,
                        limit_bytes=simulated_memory(device),
                        cache_dir=self.root,
                        offline=self.offline,
                    )


def _staff(session: Session, options: RunOptions) -> Staff:
    """The workers of a cluster, none of which is started yet."""
    from flowsynth.executors.ray.carriage import Carriage
    from flowsynth.executors.ray.cluster import Cluster, imported_ray
    from flowsynth.executors.ray.staff import Staff

    imported_ray(local=options.ray_address == "local")
    cluster = Cluster.of(
        options.ray_address,
        options.ray_cache,
        session.root,
        offline=options.offline,
        max_bytes=options.max_bytes,
        model_bytes=options.model_bytes,
        debug=options.debug,
    )
    return Staff(cluster, Carriage(session.cache, cluster))
