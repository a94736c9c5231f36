"""`run.json` and `plan --json`: a contract for other programs, with a JSON Schema in `flowsynth/schemas`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from flowsynth.core.secrets import has_secrets, hidden
from flowsynth.core.status import NodeStatus, PlanStatus


class _Part(BaseModel):
    # A command writes two or three of these: validators are built of those that it writes, when it does.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings", defer_build=True)


def json_text(model: BaseModel, indent: int | None = None) -> str:
    """The JSON of a record, always in UTF-8.

    A byte of a file's name that is none in UTF-8 becomes an escape, which reads back as it was; so does an
    infinite number, as a text that pydantic takes for one. No result is lost for either. Secrets are named.
    """
    if not has_secrets():
        try:
            return model.model_dump_json(indent=indent)
        except ValueError:  # a name that is no UTF-8
            pass
    data, separators = hidden(model.model_dump(mode="json")), None if indent else (",", ":")
    try:
        text = json.dumps(data, indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(data), indent=indent, separators=separators, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Request(_Part):
    """What a run was asked for, as it was typed."""

    command: list[str] = Field(default_factory=list, description="the command line, empty from Python")
    overrides: list[str] = Field(default_factory=list, description="in Hydra's grammar")
    experiments: list[str] = Field(default_factory=list, description="names of the experiments among them")


class TaskCounts(_Part):
    """Tasks of a node: one a chunk of a stream, one in all for a whole value."""

    hit: int = Field(default=0, ge=0, description="taken from the cache")
    computed: int = Field(default=0, ge=0, description="computed in this run")


class NodeRecord(_Part):
    """What became of one node."""

    op: str = Field(description="the operator")
    params: dict[str, JsonValue] = Field(default_factory=dict, description="all of them, defaults too")
    status: NodeStatus = Field(description="hit: every task came from the cache; skipped: an input failed")
    seconds: float = Field(default=0.0, ge=0, description="compute of this run's tasks, summed")
    device: str = Field(default="", description="where it ran, or would have")
    dtypes: dict[str, str] = Field(
        default_factory=dict, description="model port -> numbers that its networks compute in there"
    )
    key: str = Field(
        default="", description="its key; of a stream, the hash of its tasks' keys; empty if unknown"
    )
    objects: dict[str, str] = Field(default_factory=dict, description="output port -> content hash")
    bytes: int = Field(default=0, ge=0, description="size of its outputs, as stored")
    tasks: TaskCounts = Field(default_factory=TaskCounts)
    notes: list[str] = Field(default_factory=list, description="what the operator wanted said")
    error: str = Field(default="", description="why it failed or was skipped")
    jobs: int = Field(
        default=1, ge=1, description="jobs of the sweep that it was made for, once; 1 outside of one"
    )
    started: float | None = Field(
        default=None,
        ge=0,
        description="seconds after the run's start when it was begun; null if nothing was computed",
    )
    ended: float | None = Field(default=None, ge=0, description="and when the last of it was over")
    wait: float = Field(
        default=0.0, ge=0, description="seconds that its tasks could have begun and waited, summed"
    )
    saved: float = Field(default=0.0, ge=0, description="seconds that its hits took when they were computed")
    peak_bytes: int = Field(
        default=0,
        ge=0,
        description="most memory seen in use while it computed: of its GPU, else of the process",
    )
    busy: dict[str, list[tuple[float, float]]] = Field(
        default_factory=dict, description="device -> [from, to] of each stretch of work, as started and ended"
    )
    changed: list[str] = Field(
        default_factory=list, description="parts of its key that differ from those of the graph's last run"
    )


class RunRecord(_Part):
    """What `run.json` holds."""

    status: Literal["done", "failed"]
    graph: dict[str, JsonValue] = Field(description="the resolved graph: what Graph.from_yaml takes")
    nodes: dict[str, NodeRecord]
    outputs: dict[str, JsonValue] = Field(
        default_factory=dict, description="output -> path of its file (relative to run.json), or its value"
    )
    versions: dict[str, str] = Field(default_factory=dict, description="python, flowsynth and the libraries")
    models: dict[str, JsonValue] = Field(
        default_factory=dict, description="model -> {family, source, fingerprint, ...}"
    )
    peak_rss_bytes: int = Field(default=0, ge=0, description="largest resident size of the process so far")
    seconds: float = Field(default=0.0, ge=0, description="wall time of the run")
    saved: float = Field(
        default=0.0, ge=0, description="seconds that hits took when they were computed, summed"
    )
    request: Request = Field(default_factory=Request, description="what was asked for, as typed")
    started: str = Field(default="", description="when it began, ISO 8601 in UTC")
    ended: str = Field(default="", description="when all nodes were over, ISO 8601 in UTC")
    notes: list[str] = Field(default_factory=list, description="what the user should know of the run")
    errors: list[str] = Field(default_factory=list, description="one message a failure")

    def to_json(self) -> str:
        """The text of `run.json`."""
        return json_text(self, 2) + "\n"


def record_parts(
    head: RunRecord, specs: Iterable[tuple[str, Any]], nodes: Iterable[tuple[str, NodeRecord]]
) -> Iterator[str]:
    """The text of `run.json` piece by piece, so that a graph of any size is never in memory as text.

    Args:
        head: the record, without nodes and without those of its graph.
        specs: name -> entry, of the graph's nodes.
        nodes: name -> record, of the run's.

    Raises:
        ValueError: something is no UTF-8.
    """
    before, _, rest = head.to_json().partition('\n    "nodes": {}')
    middle, _, after = rest.partition('\n  "nodes": {}')
    yield f'{before}\n    "nodes": '
    yield from _members(6, specs)
    yield f'{middle}\n  "nodes": '
    yield from _members(4, nodes)
    yield after


def _members(indent: int, items: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A mapping's text, a member at a time, as it stands at some depth of a text of indent 2."""
    from pydantic_core import to_json

    line, mark = "\n" + " " * indent, "{"
    for name, value in items:
        text = to_json(value, indent=2, inf_nan_mode="strings").decode()
        yield f"{mark}{line}{to_json(name).decode()}: {text.replace(chr(10), line)}"
        mark = ","
    yield "{}" if mark == "{" else f"{line[:-2]}}}"


class JobRecord(_Part):
    """What became of one job of a sweep."""

    job: int = Field(ge=0, description="its number, counted from 0 in the order of the axes")
    overrides: list[str] = Field(description="what it was asked for, in Hydra's grammar")
    axes: dict[str, str | None] = Field(
        default_factory=dict, description="axis -> its value as written; null where the job leaves it alone"
    )
    status: Literal["done", "failed"]
    folder: str = Field(description="where its files are, relative to sweep.json")
    outputs: dict[str, JsonValue] = Field(
        default_factory=dict, description="output -> path of its file (relative to its folder), or its value"
    )
    metrics: dict[str, float] = Field(
        default_factory=dict, description="node, or node.name -> a number among its JSON outputs"
    )
    tasks: TaskCounts = Field(
        default_factory=TaskCounts, description="what an earlier job of the sweep computed counts as a hit"
    )
    nodes: int = Field(default=0, ge=0, description="nodes that it needs")
    shared: int = Field(default=0, ge=0, description="those of them that other jobs of the sweep need too")
    seconds: float = Field(default=0.0, ge=0, description="wall time until its last output was over")
    compute: float = Field(
        default=0.0, ge=0, description="compute of its tasks; what several jobs share is divided among them"
    )
    errors: list[str] = Field(default_factory=list, description="one message a failure")

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is known of it: a job that was never run has neither outputs nor tasks."""
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class SweepRecord(_Part):
    """What `sweep.json` holds: jobs in the order in which they ended, sorted once all have."""

    axes: dict[str, list[str | None]] = Field(
        default_factory=dict, description="what differs between jobs -> its values in order of appearance"
    )
    jobs: list[JobRecord] = Field(default_factory=list)


class NodePlan(_Part):
    """What a plan expects of one node."""

    op: str = Field(description="the operator")
    status: PlanStatus = Field(
        description="hit; run; rerun: known, but its object is gone and needed; unknown: below a run"
    )
    remote: bool = Field(default=False, description="a hit of the remote cache that was not here before")
    device: str = Field(default="", description="where it would run")
    key: str = Field(default="", description="its key, if it can be known now")
    tasks: int | None = Field(default=None, ge=0, description="how many tasks it has, null if not known yet")
    tasks_hit: int | None = Field(default=None, ge=0, description="how many of those are in the cache")
    seconds: float | None = Field(default=None, ge=0, description="what it took when it was last computed")
    why: str = Field(default="", description="which part of its key changed since the last run")
    weight_bytes: int | None = Field(
        default=None, ge=0, description="weights that it would hold on its device, where that is known"
    )
    requests: int = Field(default=0, ge=0, description="answers of a hosted model that it would ask for")
    cost: float = Field(default=0.0, ge=0, description="US dollars that those would cost")


class PlanRecord(_Part):
    """What `flowsynth plan --json` prints."""

    graph: dict[str, JsonValue] = Field(description="the resolved graph: what Graph.from_yaml takes")
    nodes: dict[str, NodePlan]
    outputs: list[str] = Field(default_factory=list, description="the nodes, or node.port, asked for")
    frame_bytes: dict[str, int | None] = Field(
        default_factory=dict,
        description="node that would run -> its frames, uncoded, about; null if only a run shows them",
    )
    free_bytes: int = Field(default=0, ge=0, description="free disk in the cache's folder")

    def to_json(self) -> str:
        """The text that `plan --json` prints."""
        return json_text(self, 2) + "\n"


class NodesPlan(_Part):
    """What a sweep's plan expects of all nodes of one name."""

    op: str = Field(description="the operator")
    jobs: int = Field(default=0, ge=0, description="jobs that need one of them")
    nodes: int = Field(default=0, ge=0, description="different ones: what several jobs share counts once")
    hits: int = Field(default=0, ge=0, description="those of them that are in the cache")
    unknown: int = Field(default=0, ge=0, description="those that depend on what runs before them")
    seconds: float | None = Field(
        default=None,
        ge=0,
        description="what those that are no hits may cost, as others did; null: no idea",
    )
    requests: int = Field(default=0, ge=0, description="answers of hosted models that they would ask for")
    cost: float = Field(default=0.0, ge=0, description="US dollars that those would cost")


class JobPlan(_Part):
    """What a sweep's plan expects of one job."""

    job: int = Field(ge=0, description="its number")
    overrides: list[str] = Field(description="what it was asked for, in Hydra's grammar")
    nodes: int = Field(default=0, ge=0, description="nodes that it needs")
    hits: int = Field(default=0, ge=0, description="those of them that are in the cache")
    error: str = Field(default="", description="why it cannot be run")


class SweepPlanRecord(_Part):
    """What `flowsynth plan --multirun --json` prints."""

    axes: dict[str, list[str | None]] = Field(
        default_factory=dict, description="what differs between jobs -> its values in order of appearance"
    )
    nodes: dict[str, NodesPlan] = Field(default_factory=dict)
    jobs: list[JobPlan] = Field(default_factory=list)

    def to_json(self) -> str:
        """The text that `plan --multirun --json` prints."""
        return json_text(self, 2) + "\n"


class Provenance(_Part):
    """What every output file carries inside: enough to show it, and to make it again."""

    flowsynth: str = Field(description="version that made the file")
    output: str = Field(description="which output of the graph the file is: node or node.port")
    object: str = Field(description="content hash of the value, before this text was put into the file")
    graph: dict[str, JsonValue] = Field(description="the resolved graph")
    keys: dict[str, str] = Field(default_factory=dict, description="node -> key")
    objects: dict[str, str] = Field(default_factory=dict, description="node.port -> content hash")
    versions: dict[str, str] = Field(default_factory=dict)
    models: dict[str, JsonValue] = Field(default_factory=dict)
    params: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="node -> all of its params, defaults too"
    )
    request: Request = Field(default_factory=Request, description="what was asked for, as typed")
    started: str = Field(default="", description="when the run began, ISO 8601 in UTC")
    ended: str = Field(default="", description="when all of its nodes were over, ISO 8601 in UTC")
    folder: str = Field(default="", description="folder that relative paths in the graph start from")

    def to_json(self) -> str:
        """The text that is put into a file."""
        return json_text(self)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a record, as it is written."""
    schema = model.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


#: The schemas that are kept in `flowsynth/schemas`, by file name.
SCHEMAS: dict[str, type[BaseModel]] = {
    "run.schema.json": RunRecord,
    "plan.schema.json": PlanRecord,
    "sweep.schema.json": SweepRecord,
    "sweep_plan.schema.json": SweepPlanRecord,
    "provenance.schema.json": Provenance,
}
