"""The graph as people use it: build, plan, run, and round-trip through YAML."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowsynth.api.outputs import require_folder
from flowsynth.api.run import Run, RunFailedError
from flowsynth.api.session import Session
from flowsynth.core import graph as core
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError, did_you_mean, listing
from flowsynth.core.events import Observer
from flowsynth.core.refs import Trace
from flowsynth.core.seeds import draw_seeds
from flowsynth.core.spec import build, to_spec
from flowsynth.core.streams import DEFAULT_CHUNK
from flowsynth.planning.plan import Plan, explain


class Graph(core.Graph):
    """A graph of operators that can be run.

    Example:
        ```python
        g = Graph("chain")
        a = g.add("a", Inc(step=1))
        b = g.add("b", Inc(step=2), x=a)
        run = g.run(cache_dir="cache")
        run["b"]
        ```
    """

    @classmethod
    def from_dict(cls, data: Any) -> Graph:
        """A graph from a mapping, as composed from YAML.

        Raises:
            GraphError: every fault at once.
        """
        graph = cls()
        build(graph, data)
        return graph

    @classmethod
    def from_yaml(cls, text: str, where: str = "graph") -> Graph:
        """A graph from YAML; the inverse of `to_yaml`.

        Args:
            text: the document.
            where: its name in messages.

        Raises:
            GraphError: a syntax error with its line, or every fault of the graph at once.
        """
        from flowsynth.core.yaml_text import load_yaml

        return cls.from_dict(load_yaml(text, where))

    def to_dict(self) -> dict[str, Any]:
        """The graph as a mapping: only what differs from the defaults."""
        return to_spec(self)

    def to_yaml(self) -> str:
        """The graph as YAML; `from_yaml` gives the same graph, and that the same text."""
        from flowsynth.core.yaml_dump import dump_yaml

        return dump_yaml(self.to_dict())

    def run(
        self,
        *,
        cache_dir: Path | str | None = None,
        executor: str = "serial",
        outputs: Sequence[str] | None = None,
        output_dir: Path | str | None = None,
        device: str = "auto",
        offline: bool = False,
        max_bytes: int | None = None,
        chunk: int = DEFAULT_CHUNK,
        observer: Observer | None = None,
        check: bool = True,
        debug: bool = False,
        workers: int | None = None,
        session: Session | None = None,
    ) -> Run:
        """Run what is not in the cache.

        Args:
            cache_dir: the cache's folder; the per-user one unless given.
            executor: ``serial``, or ``threads`` for a worker on every device and one for reading files.
            outputs: nodes, or ``node.port``, to deliver; only what they need runs. The graph's outputs unless
                given.
            output_dir: where to write files and `run.json`; nowhere unless given.
            device: what ``auto`` means.
            offline: never touch the network.
            max_bytes: budget of the cache's objects.
            chunk: frames in a chunk of a stream.
            observer: hears what happens.
            check: raise if a node failed.
            debug: keep tracebacks in error messages.
            workers: threads that compute on the CPU, for ``threads``; a quarter of the cores unless given.
            session: an open session to use instead of opening one (`cache_dir`, `device`, `offline` and
                `max_bytes` are then its own).

        Raises:
            RequestError: an output, an executor, a file or a model that does not exist, or a folder that
                cannot be written to.
            RunFailedError: a node failed, and `check` is set.
        """
        own = session or Session(cache_dir, device=device, offline=offline, max_bytes=max_bytes)
        try:
            start = time.perf_counter()
            observer = observer or Observer()
            graph, drawn = draw_seeds(self)
            plan = own.plan(graph, outputs)
            if output_dir is not None:
                require_folder(output_dir)
            run = _execute(graph, own, plan, executor, chunk, observer, debug, workers)
            run.seconds = time.perf_counter() - start
            run.notes += [drawn] if drawn else []
            if output_dir is not None:
                run.write(output_dir)
            if type(observer) is not Observer:
                observer.run_finished(run.record)
        finally:
            if session is None:
                own.close()
            else:
                own.cache.release()  # the next run of a sweep may need the room
        if check and not run.ok:
            raise RunFailedError(run)
        return run

    def plan(
        self,
        *,
        cache_dir: Path | str | None = None,
        outputs: Sequence[str] | None = None,
        device: str = "auto",
        offline: bool = False,
    ) -> Plan:
        """What of the graph is in the cache, and what would run; imports no torch, takes no lock.

        Raises:
            RequestError: an output, a file or a model that does not exist.
        """
        with Session(cache_dir, device=device, offline=offline, read_only=True) as session:
            return session.plan(self, outputs)

    def explain(self, node: str, *, cache_dir: Path | str | None = None, device: str = "auto") -> list[str]:
        """Which parts of a node's key differ from those of its last run; empty if none does.

        Raises:
            RequestError: no such node.
        """
        if node not in self.nodes:
            hint = did_you_mean(node, self.nodes)
            raise RequestError(f"no node {node!r}; expected one of {listing(self.nodes)}{hint}")
        with Session(cache_dir, device=device, read_only=True) as session:
            plan = session.plan(self, None if node in _needed(self) else [node])
            row = session.lookup(plan.last_keys.get(node, ""))
            return explain(plan.steps[node], Trace.from_bytes(row) if row is not None else None)


def _needed(graph: Graph) -> set[str]:
    """Names of the nodes that the graph's own outputs need."""
    needed: set[str] = set()
    stack = [edge.node for edge in graph.wanted()]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += graph.nodes[name].upstream()
    return needed


def _execute(
    graph: Graph,
    session: Session,
    plan: Plan,
    executor: str,
    chunk: int,
    observer: Observer,
    debug: bool,
    workers: int | None,
) -> Run:
    from flowsynth.executors.engine import Engine
    from flowsynth.executors.loops import EXECUTORS

    if executor not in EXECUTORS:
        raise RequestError(f"executor: expected {listing(EXECUTORS)}; given {executor!r}")
    models: dict[str, Any] = {}

    def context(node: str, device: str) -> RunContext:
        session.prepare_managers([device])  # not before: what is cached needs none
        return session.context(node, device)

    def feed(names: Sequence[str], many: bool) -> Any:
        for name in names:
            if name not in models:
                models[name] = session.model(graph, name)
        return [models[name] for name in names] if many else models[names[0]]

    def resident(device: str, names: Sequence[str]) -> bool:
        known = [models[name].spec for name in names if name in models]
        return len(known) == len(names) and session.resident(device, known)

    engine = Engine(plan, session.cache, observer, context, feed, resident, executor, chunk, debug, workers)
    run = Run(graph, plan, engine.run(), session.cache)
    run.peak_alive = engine.peak_alive
    return run
