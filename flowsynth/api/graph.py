"""The graph as people use it: build, plan, run, and round-trip through YAML."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.api.declared import model_faults, unused_models
from flowsynth.api.execute import execute
from flowsynth.api.notebook import usual_observer
from flowsynth.api.outputs import require_folder
from flowsynth.api.run import Run, RunFailedError
from flowsynth.api.session import Session
from flowsynth.core import graph as core
from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import Fault, GraphError, RequestError, did_you_mean, listing
from flowsynth.core.events import Observer
from flowsynth.core.options import SESSION_OPTIONS, GivenOptions, RunOptions
from flowsynth.core.refs import Trace
from flowsynth.core.secrets import hidden_text
from flowsynth.core.seeds import draw_seeds
from flowsynth.core.spec import build, to_spec
from flowsynth.core.spending import require_paid
from flowsynth.planning.explain import explain
from flowsynth.planning.plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Graph(core.CoreGraph):
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
        faults: list[Fault] = []
        try:
            with collector_paused():
                build(graph, data)
        except GraphError as error:
            faults += error.faults
        faults += model_faults(graph.models)
        if faults:
            raise GraphError(faults, graph.name)
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

    def _repr_svg_(self) -> str:
        """As notebooks show it: a drawing."""
        from flowsynth.drawing import FORMATS, outline_of

        return hidden_text(FORMATS["svg"](outline_of(self)))

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
        outputs: Sequence[core.Name] | None = None,
        output_dir: Path | str | None = None,
        observer: Observer | None = None,
        check: bool = True,
        session: Session | None = None,
        options: RunOptions | None = None,
        **given: Unpack[GivenOptions],
    ) -> Run:
        """Run what is not in the cache.

        Args:
            outputs: what to deliver, as handles or names (``node``, ``node.port``, ``stage``); only what they
                need runs. The graph's outputs unless given.
            output_dir: where to write files and `run.json`; nowhere unless given.
            observer: hears what happens; unless given, bars in a notebook show it, and nothing elsewhere.
            check: raise if a node failed.
            session: an open session to use instead of opening one; cache, budgets, device and offline are
                its own then.
            options: how to run it.
            given: the same options by name, such as ``executor="threads"``; see `RunOptions`.

        Raises:
            RequestError: an option that is wrong; an output, a file or a model that does not exist; a folder
                that cannot be written to.
            RunFailedError: a node failed, and `check` is set.
        """
        start = time.perf_counter()
        options = _options(options, given, session)
        observer = observer or usual_observer()
        own = session or Session.of(options)
        try:
            with own.running():
                run = self._run(own, options, observer, outputs, output_dir, start)
        finally:
            if session is None:
                own.close()
        if check and not run.ok:
            raise RunFailedError(run)
        return run

    def _run(
        self,
        session: Session,
        options: RunOptions,
        observer: Observer,
        outputs: Sequence[core.Name] | None,
        output_dir: Path | str | None,
        start: float,
    ) -> Run:
        graph, drawn = draw_seeds(self)
        plan = session.plan(graph, None if outputs is None else [str(edge) for edge in self.wanted(outputs)])
        session.require_writable(plan)
        require_paid(plan.spending(), options.max_cost, offline=session.offline)
        if output_dir is not None:
            require_folder(output_dir)
        run = execute(session, plan, options, observer)
        run.seconds = time.perf_counter() - start
        run.notes += [*([drawn] if drawn else []), *unused_models(self), *session.notes]
        session.settle(lambda text: observer.note("", text))
        if output_dir is not None:
            run.write(output_dir)
        if type(observer) is not Observer:
            observer.run_finished(run.record)
        return run

    def plan(
        self,
        *,
        cache_dir: Path | str | None = None,
        outputs: Sequence[core.Name] | None = None,
        device: str = "auto",
        offline: bool = False,
        remote: str | None = None,
    ) -> Plan:
        """What of the graph is in the cache, and what would run; imports no torch, takes no lock.

        Raises:
            RequestError: an output, a file or a model that does not exist.
        """
        with Session(cache_dir, device=device, offline=offline, remote=remote, read_only=True) as session:
            return session.plan(self, outputs)

    def explain(
        self, node: core.Name, *, cache_dir: Path | str | None = None, device: str = "auto"
    ) -> list[str]:
        """Which parts of a node's key differ from those of its last run; empty if none does.

        Raises:
            RequestError: no such node.
        """
        node = str(node)
        if node not in self.nodes:
            hint = did_you_mean(node, self.nodes)
            raise RequestError(f"no node {node!r}; expected one of {listing(self.nodes)}{hint}")
        with Session(cache_dir, device=device, read_only=True) as session:
            plan = session.plan(self, None if node in _needed(self) else [node])
            row = session.lookup(plan.last_keys.get(node, ""))
            return explain(plan, node, Trace.from_bytes(row) if row is not None else None)


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


def _options(options: RunOptions | None, given: GivenOptions, session: Session | None) -> RunOptions:
    """The options of a run, however they were given.

    Raises:
        GraphError: wrong ones, or ones that the session has decided already.
    """
    if session is not None:
        decided = [name for name in SESSION_OPTIONS if name in given]
        if decided:
            faults = [Fault(name, "is the session's own", "it to be given to Session") for name in decided]
            raise GraphError(faults, "options")
    if options is None:
        return RunOptions.of(given)
    return RunOptions.of({**options.model_dump(), **given}) if given else options
