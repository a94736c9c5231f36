"""What a plan says of hosted models and their price."""

from __future__ import annotations

from collections.abc import Iterable

from flowsynth.core.record import NodePlan, NodesPlan
from flowsynth.core.spending import dollars


def money_lines(nodes: Iterable[NodePlan | NodesPlan], max_cost: float) -> list[str]:
    """What would be asked of hosted models, what it would cost, and whether a run would be let."""
    asked = [node for node in nodes if node.requests]
    if not asked:
        return []
    total, count = sum(node.cost for node in asked), sum(node.requests for node in asked)
    allowed = f"within max_cost={max_cost:g}" if total <= max_cost else f"refused by max_cost={max_cost:g}"
    return [f"cost: {count} answer{'s' * (count != 1)} of hosted models, {dollars(total)}, {allowed}"]
