"""Why a step would run: which parts of its key differ from those of its last run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowsynth.core.canonical import canonical_json
from flowsynth.core.refs import Trace
from flowsynth.planning.plan import Plan
from flowsynth.planning.step import input_hashes


def explain(plan: Plan, name: str, last: Trace | None) -> list[str]:
    """Which parts of a step's key differ from those of its last run, one line each.

    Args:
        plan: the plan.
        name: the step's name.
        last: the trace of its last run, if there was one.
    """
    if last is None:
        return ["never computed with this cache"]
    step = plan.steps[name]
    now: dict[str, Any] = dict(step.static.parts)
    pairs = input_hashes(step.inputs, {edge.node: plan.steps[edge.node].outputs for edge in step.sources()})
    if pairs is not None:
        now["inputs"] = dict(pairs)
    lines = differences(last.reasons(), now)
    if pairs is None:
        lines.append("inputs: not known before the nodes above have run")
    return lines


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two keys, one line each.

    Args:
        before: the parts of one, as a trace remembers them.
        now: those of the other.
    """
    changed = [part for part, value in now.items() if before.get(part) != value]
    return [line for part in changed for line in _difference(part, before.get(part), now[part])]


def _difference(part: str, before: Any, now: Any) -> list[str]:
    try:
        old = json.loads(before) if isinstance(before, str) and before[:1] in "{[" else before
        new = json.loads(now) if isinstance(now, str) and now[:1] in "{[" else now
    except ValueError:
        old, new = before, now
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [
            f"{part}.{name}: {_text(old.get(name))} -> {_text(new.get(name))}"
            for name in names
            if old.get(name) != new.get(name)
        ]
    return [f"{part}: {_text(old)} -> {_text(new)}"]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text[:12] + "..." if len(text) > 40 else text
