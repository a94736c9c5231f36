import json
from pathlib import Path

import jsonschema
import pytest

import flowsynth.schemas
from flowsynth.core.errors import InputError
from flowsynth.core.read_record import read_record, record_file
from flowsynth.core.record import (
    SCHEMAS,
    NodePlan,
    NodeRecord,
    PlanRecord,
    RunRecord,
    SweepRecord,
    TaskCounts,
    json_schema,
)
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


def test_records_of_newer_and_older_versions_are_read(tmp_path: Path) -> None:
    node = NodeRecord(op="inc", status="computed", tasks=TaskCounts(hit=1))
    data = json.loads(RunRecord(status="done", graph={"x": {"new": 1}}, nodes={"a": node}).to_json())
    data["of_a_newer_version"] = data["nodes"]["a"]["new"] = data["nodes"]["a"]["tasks"]["new"] = 1
    del data["saved"], data["nodes"]["a"]["busy"]
    (tmp_path / "run.json").write_text(json.dumps(data))
    record = read_record(tmp_path / "run.json")
    assert isinstance(record, RunRecord)
    assert record.nodes == {"a": node}
    assert record.graph == {"x": {"new": 1}}


def test_a_folder_names_its_record(tmp_path: Path) -> None:
    assert record_file(tmp_path) is None
    (tmp_path / "run.json").write_text("{}")
    assert record_file(tmp_path) == tmp_path / "run.json"
    (tmp_path / "sweep.json").write_text('{"axes": {}, "jobs": []}')
    assert record_file(tmp_path) == tmp_path / "sweep.json"
    assert read_record(tmp_path / "sweep.json") == SweepRecord()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"nodes": 3}', '{"jobs": [{}]}', "null", "\xff"])
def test_what_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"run\.json"):
        read_record(file)
