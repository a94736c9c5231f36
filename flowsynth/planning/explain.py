"""Why a step would run: which parts of its key differ from those of its last run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flowsynth.core.canonical import canonical_json
from flowsynth.core.refs import Trace
from flowsynth.planning.plan import Plan
from flowsynth.planning.step import Step, input_hashes

#: What is taken for a hash, and how much of it is shown: enough to tell one from another.
_HASH = re.compile(r"\b[0-9a-f]{16,}\b")
_SHOWN = 8


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
    lines = differences(last.reasons(), now, step)
    if pairs is None:
        lines.append("inputs: not known before the nodes above have run")
    return lines


def differences(before: Mapping[str, Any], now: Mapping[str, Any], step: Step) -> list[str]:
    """What differs between two keys, one line each.

    Args:
        before: the parts of one, as a trace remembers them.
        now: those of the other.
        step: which it is a key of.
    """
    changed = [part for part, value in now.items() if before.get(part) != value]
    return [line for part in changed for line in _difference(part, before.get(part), now[part], step)]


def _difference(part: str, before: Any, now: Any, step: Step) -> list[str]:
    old, new = _parsed(before), _parsed(now)
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [
            f"{part}.{name}{_named(part, name, step)}: {_text(old.get(name))} -> {_text(new.get(name))}"
            for name in names
            if old.get(name) != new.get(name)
        ]
    return [f"{part}{_named(part, '', step)}: {_text(old)} -> {_text(new)}"]


def _parsed(value: Any) -> Any:
    """A part of a key, which is JSON where it has several values."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except ValueError:
        return value


def _named(part: str, name: str, step: Step) -> str:
    """What a hash is of, in brackets: the node it comes from, the model, the file, the code."""
    of = ""
    if part == "inputs":
        edges = [str(edge) for given in step.inputs if given.port == name for edge in given.edges]
        of = f"from {', '.join(edges)}" if edges else ""
    elif part == "models":
        of = ", ".join(f"models.{model}" for model in step.models.get(name, ()))
    elif part == "files":
        given = getattr(step.operator, name.partition("[")[0], "")
        of = f"content of {given}" if isinstance(given, str) and given else "content"
    elif part == "source":
        of = f"the code of {type(step.operator).op}"
    return f" ({of})" if of else ""


def _text(value: Any) -> str:
    """A value in a few characters: of hashes their beginnings."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = _HASH.sub(
        lambda found: found[0][:_SHOWN], value if isinstance(value, str) else canonical_json(value)
    )
    return f"{text[:60]}..." if len(text) > 63 else text
