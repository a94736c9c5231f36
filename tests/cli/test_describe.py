import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from flowsynth.cli.reference import type_text
from flowsynth.config.folders import shipped_folders
from flowsynth.core.registry import operator_names
from flowsynth.core.yaml_text import read_yaml
from tests.cli.conftest import Cli, Shell


def test_ops_lists_every_operator_with_its_first_line(cli: Cli) -> None:
    _, out, _ = cli("ops")
    assert [line.split()[0] for line in out.splitlines()] == operator_names()
    assert "Adds a step." in out


def test_ops_describes_one(cli: Cli) -> None:
    _, out, _ = cli("ops", "join")
    assert "a  int" in out
    assert "b  int  optional" in out
    data = json.loads(cli("ops", "join", "--json")[1])
    assert data["inputs"]["a"] == {"type": "int", "many": False, "required": True, "stream": False}
    schema = json.loads(cli("ops", "step", "--json-schema")[1])
    assert schema["properties"]["by"]["default"] == 1
    jsonschema.validate({"by": 3}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"bye": 3}, schema)


def test_every_shipped_operator_can_be_described(cli: Cli) -> None:
    data = json.loads(cli("ops", "--json")[1])
    assert all(item["summary"].endswith(".") for item in data), "a summary is a sentence"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 0}, "integer >= 0"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number | null"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "integer", "multipleOf": 8, "maximum": 64}, "integer <= 64, multiple of 8"),
    ],
)
def test_types_in_words(schema: dict[str, Any], text: str) -> None:
    assert type_text(schema) == text


def test_the_schema_of_graph_files_takes_good_ones_and_refuses_typos(cli: Cli, home: Path) -> None:
    schema = json.loads(cli("schema")[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    graph = yaml.safe_load((home / "graphs" / "small.yaml").read_text())
    assert list(check.iter_errors(graph)) == []
    graph["nodes"]["first"]["params"] = {"bye": 1}
    assert "bye" in next(check.iter_errors(graph)).message
    graph["nodes"]["first"] = {"op": "stepp"}
    assert "stepp" in next(check.iter_errors(graph)).message
    stage = {"nodes": {"s": {"output": "a", "nodes": {"a": {"op": "step"}}}}}
    assert list(check.iter_errors(stage)) == []


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("graph", "graphs/*.yaml"),
        ("stage", "graphs/stages/*.yaml"),
        ("experiment", "conf/experiment/*.yaml"),
    ],
)
def test_every_shipped_file_keeps_to_its_schema(cli: Cli, what: str, files: str) -> None:
    schema = json.loads(cli("schema", what)[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    found = list(shipped_folders().graphs.parent.glob(files))
    assert found
    for file in found:
        assert [error.message for error in check.iter_errors(read_yaml(file))] == [], file


@pytest.mark.parametrize(
    ("what", "value", "words"),
    [
        ("stage", {"op": "resize", "params": {"factr": 2}}, "factr"),
        ("stage", {"nodes": {"a": {"op": "resiz"}}}, "resiz"),
        ("stage", {"nodes": {}, "outpt": "a"}, "outpt"),
        ("stage", {"small": {"op": "resize", "inputs": {"fames": "a"}}}, "fames"),
        ("experiment", {"executor": "thread"}, "thread"),
        ("experiment", {"chunk": "many"}, "many"),
        ("experiment", {"defaults": [{"override /graph": "tooon"}]}, "tooon"),
        ("experiment", {"graph": {"node": {}}}, "node"),
    ],
)
def test_schemas_refuse_typos(cli: Cli, what: str, value: Any, words: str) -> None:
    check = jsonschema.Draft202012Validator(json.loads(cli("schema", what)[1]))
    assert words in next(check.iter_errors(value)).message


@pytest.mark.parametrize("name", ["mermaid", "dot", "svg", "json"])
def test_every_format_draws_every_node(cli: Cli, name: str) -> None:
    code, out, _ = cli("graph", "graph=small", "--format", name)
    assert code == 0
    assert all(node in out for node in ("first", "second", "other", "last"))


def test_the_svg_is_well_formed_and_its_boxes_do_not_overlap(cli: Cli, home: Path) -> None:
    code, out, _ = cli("graph", "graph=small", "--format", "svg", "-o", "g.svg")
    assert (code, out.strip()) == (0, "g.svg")
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring((home / "g.svg").read_text())
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in root.iter(f"{space}rect")
        if rect.get("x")
    ]
    assert len(boxes) == 4
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert x + w <= float(root.attrib["width"])
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_the_svg_holds_nothing_that_only_browsers_know(cli: Cli) -> None:
    """No style sheet, nothing of SVG 2: drawing programs and converters read attributes alone."""
    out = cli("graph", "graph=small", "--format", "svg")[1]
    assert not [word for word in ("<style", "class=", "style=", "paint-order", "var(", "%") if word in out]
    space = "{http://www.w3.org/2000/svg}"
    texts = [text for text in ET.fromstring(out).iter(f"{space}text") if text.text == "x"]
    assert [text.get("stroke") for text in texts] == ["#fff", None] * 2, "a halo below each name of a port"


def test_names_with_markup_do_not_break_the_drawing() -> None:
    from flowsynth.drawing import FORMATS
    from flowsynth.drawing.outline import Arrow, Box, Outline

    outline = Outline('<x>"&', (Box("a<b", 'o"p'), Box("c&d", "op")), (Arrow("a<b", "c&d", "<p>", "Frames"),))
    ET.fromstring(FORMATS["svg"](outline))
    assert "<b" not in FORMATS["mermaid"](outline).replace("<br/>", "")
    assert json.loads(FORMATS["json"](outline))["edges"][0]["to"] == "c&d"


def test_validate_says_everything_at_once(cli: Cli, home: Path) -> None:
    assert cli("validate", "graph=small")[0] == 0
    (home / "graphs" / "bad.yaml").write_text("nodes: {a: {op: stepp}, b: {op: step, params: {bye: 1}}}")
    code, out, err = cli("validate", "graph=bad")
    assert code == 2
    assert "did you mean 'step'" in err
    assert "did you mean 'by'" in err
    code, out, _ = cli("validate", "graph=bad", "--json")
    assert code == 2
    assert [fault["nearest"] for fault in json.loads(out)["faults"]] == ["step", "by"]


def test_the_reference_in_the_repository_is_current(shell: Shell) -> None:
    made = shell("ops", "--markdown")
    assert made.returncode == 0, made.stderr
    kept = (shipped_folders().graphs / "OPERATORS.md").read_text()
    assert made.stdout == kept, "run: flowsynth ops --markdown > graphs/OPERATORS.md"


def test_the_shipped_graphs_satisfy_the_schema(cli: Cli) -> None:
    check = jsonschema.Draft202012Validator(json.loads(cli("schema")[1]))
    for path in shipped_folders().graphs.glob("*.yaml"):
        assert [error.message for error in check.iter_errors(yaml.safe_load(path.read_text()))] == [], (
            path.name
        )
