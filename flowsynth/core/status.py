"""Words for what is expected of a node and what became of it: in plans, records and events alike."""

from __future__ import annotations

from typing import Literal

#: What a plan says of a node (see `flowsynth.core.record`).
PlanStatus = Literal["hit", "run", "rerun", "unknown"]
#: What became of a node in a run.
NodeStatus = Literal["hit", "computed", "failed", "skipped"]
#: What became of one task (one chunk of a stream, or the whole of a value).
TaskStatus = Literal["hit", "computed"]
