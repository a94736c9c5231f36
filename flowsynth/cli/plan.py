"""``flowsynth plan``: what a run would take from the cache, and what it would compute."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from flowsynth.api.declared import unused_models
from flowsynth.cli.money import money_lines
from flowsynth.cli.options import add_multirun, add_overrides, command_parser, require_multirun
from flowsynth.core.readable import bytes_text, seconds_text
from flowsynth.core.record import NodePlan, PlanRecord
from flowsynth.core.status import PlanStatus

if TYPE_CHECKING:
    from flowsynth.api import Session
    from flowsynth.config.settings import Settings
    from flowsynth.executors.forecast import Forecast
    from flowsynth.planning.plan import Plan
    from flowsynth.planning.step import Step

_WORDS = {
    "hit": "in the cache",
    "far": "in the remote cache",
    "run": "would run",
    "rerun": "would run again: known, but its value is gone and needed",
    "unknown": "depends on what runs before it",
}

_KEPT = {
    "costly": "what is costly to make is kept, coded to about a third",
    "all": "all are kept, those that are costly to make coded to about a third",
    "outputs": "only outputs are kept",
}


def parser() -> argparse.ArgumentParser:
    """The options of `plan`."""
    made = command_parser("plan", "Say what a run would do, writing nothing.", "print it as JSON")
    add_multirun(made)
    made.add_argument("--outputs", metavar="NODE", nargs="+", help="as for run")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the plan."""
    require_multirun(args)
    if args.multirun:
        from flowsynth.cli.plan_sweep import plan_sweep

        return plan_sweep(args)
    from flowsynth.cli.jobs import look, request

    composition, graph = request(args.overrides)
    with look(composition.settings) as session:
        plan = session.plan(graph, args.outputs)
        record = plan_record(plan, session, composition.settings.chunk)
        notes = [*unused_models(graph), *session.said()]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(record.to_json(), end="")
    else:
        settings = composition.settings
        money = money_lines(record.nodes.values(), settings.max_cost)
        print("\n".join([*plan_lines(graph.name, record.nodes), *money, *disk_lines(record, settings)]))
    return 0


def plan_record(plan: Plan, session: Session, chunk: int) -> PlanRecord:
    """The plan as other programs read it, for chunks of so many frames."""
    from flowsynth.core.spec import to_spec
    from flowsynth.executors.forecast import forecast
    from flowsynth.executors.room import foreseen, free_disk

    tasks = forecast(plan, session, chunk)
    return PlanRecord(
        graph=to_spec(plan.graph),
        nodes={name: _node(step, tasks[name], plan, session) for name, step in plan.steps.items()},
        outputs=[str(edge) for edge in plan.wanted],
        frame_bytes=foreseen(plan, session, chunk),
        free_bytes=free_disk(session.root),
    )


def _node(step: Step, tasks: Forecast, plan: Plan, session: Session) -> NodePlan:
    asked = step.operator.spending() if step.executes else None
    return NodePlan(
        tasks=tasks.tasks,
        tasks_hit=tasks.hits,
        op=type(step.operator).op,
        status=step.status,
        remote=step.status == "hit" and session.cache.is_far(step.key),
        device=step.device,
        key=step.key,
        seconds=step.seconds,
        why="; ".join(changes(step, plan, session)) if step.status == "run" else "",
        weight_bytes=_weight_bytes(step, plan) if step.executes else None,
        requests=asked.requests if asked is not None else 0,
        cost=asked.total if asked is not None else 0.0,
    )


def _weight_bytes(step: Step, plan: Plan) -> int | None:
    """What the models that feed a step would take on its device."""
    if not step.models:
        return None
    from flowsynth.models import Model

    held = []
    for port, names in step.models.items():
        parts = type(step.operator).model_parts.get(port, ())
        models = [Model.of(plan.graph.models[name]) for name in names]
        held += [None if model is None else model.weight_bytes(parts, step.device) for model in models]
    return sum(bytes_ or 0 for bytes_ in held) or None


def changes(step: Step, plan: Plan, session: Session) -> list[str]:
    """Which parts of a step's key differ from those of its last run."""
    from flowsynth.core.refs import Trace
    from flowsynth.planning.explain import explain

    row = session.lookup(plan.last_keys.get(step.name, ""))
    return explain(plan, step.name, Trace.from_bytes(row) if row is not None else None)


def plan_lines(name: str, nodes: Mapping[str, NodePlan]) -> list[str]:
    """The plan for a terminal: a line a node, and the sum."""
    width = max(map(len, nodes), default=0)
    ops = max((len(node.op) for node in nodes.values()), default=0)
    lines = []
    for node, plan in nodes.items():
        spent = f"  ({seconds_text(plan.seconds)} when it ran)" if plan.seconds is not None else ""
        why = f": {plan.why}" if plan.why else ""
        words = _WORDS["far" if plan.remote else plan.status]
        lines.append(f"{node:<{width}}  {plan.op:<{ops}}  {plan.status:<7}  {words}{why}{spent}")
    lines += _memory_lines(nodes)
    counts = Counter(node.status for node in nodes.values())
    total = ", ".join(f"{counts[status]} {status}" for status in get_args(PlanStatus) if counts[status])
    return [*lines, f"{name}: {total}"]


def disk_lines(record: PlanRecord, settings: Settings) -> list[str]:
    """What disk the frames of a run would take, if any are to be made."""
    known = [count for count in record.frame_bytes.values() if count]
    rest = sum(count is None for count in record.frame_bytes.values())
    if not known and not rest:
        return []
    taken = f"frames of {len(known)} nodes take about {bytes_text(sum(known))} uncoded"
    unknown = f", those of {rest} more only a run shows" if rest else ""
    kept = _KEPT[settings.cache.keep]
    free = bytes_text(record.free_bytes)
    return [
        f"disk: {taken}{unknown}; {kept}; {free} free, a budget of {bytes_text(settings.cache.max_bytes)}"
    ]


def _memory_lines(nodes: Mapping[str, NodePlan]) -> list[str]:
    """The most weights that any node would hold, a line a device."""
    most: dict[str, tuple[int, str]] = {}
    for name, node in nodes.items():
        held = node.weight_bytes or 0
        if held > most.get(node.device, (0, ""))[0]:
            most[node.device] = held, name
    return [
        f"{device}: weights of {bytes_text(held)} at most, for {name}"
        for device, (held, name) in most.items()
    ]
