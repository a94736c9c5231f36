import json
from pathlib import Path

import jsonschema
import pytest

import flowsynth.schemas
from flowsynth.core.record import SCHEMAS, NodePlan, NodeRecord, PlanRecord, RunRecord, json_schema
from flowsynth.schemas.__main__ import main as write_schemas

FOLDER = Path(flowsynth.schemas.__file__).parent


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_kept_in_the_repo_are_current(name: str, tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert (FOLDER / name).read_text() == (tmp_path / name).read_text(), "run python -m flowsynth.schemas"


def test_a_record_satisfies_its_schema() -> None:
    node = NodeRecord(op="inc", status="computed", seconds=0.5, key="k", objects={"out": "h"})
    record = RunRecord(status="done", graph={"nodes": {}}, nodes={"a": node}, outputs={"a": 3})
    jsonschema.validate(json.loads(record.to_json()), json_schema(RunRecord))


def test_a_record_has_the_keys_other_programs_read() -> None:
    record = RunRecord(
        status="failed", graph={}, nodes={"a": NodeRecord(op="inc", status="failed", error="no")}
    )
    data = json.loads(record.to_json())
    assert {"status", "graph", "nodes", "outputs", "versions", "models", "peak_rss_bytes"} <= data.keys()
    assert {"op", "status", "seconds", "device", "key", "objects", "bytes", "tasks"} <= data["nodes"][
        "a"
    ].keys()
    assert data["nodes"]["a"]["tasks"] == {"hit": 0, "computed": 0}


def test_a_plan_satisfies_its_schema() -> None:
    plan = PlanRecord(graph={}, nodes={"a": NodePlan(op="inc", status="unknown")}, outputs=["a"])
    jsonschema.validate(json.loads(plan.to_json()), json_schema(PlanRecord))


def test_an_unknown_status_is_refused_by_the_schema() -> None:
    record = json.loads(RunRecord(status="done", graph={}, nodes={}).to_json())
    record["status"] = "maybe"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, json_schema(RunRecord))
