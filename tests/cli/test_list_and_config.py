"""``flowsynth list``, ``flowsynth config``, and hints for words that are names of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flowsynth.config.catalogue import entries
from tests.cli.conftest import Cli, assert_quick

EXPERIMENT = """\
# @package _global_
# A try of my own. More about it.
defaults: [override /graph: small]
by: 5
graph:
  nodes:
    last: {params: {}}
"""


@pytest.fixture
def own(home: Path) -> Path:
    """A folder with a graph, an experiment and a model of the user's own."""
    (home / "conf" / "experiment").mkdir(parents=True)
    (home / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    (home / "conf" / "model").mkdir()
    (home / "conf" / "model" / "wan2.9.yaml").write_text("# A model. Big. Licence: MIT. Slow.\nfamily: sd\n")
    return home


def test_everything_shipped_says_what_it_is() -> None:
    for kind in ("graphs", "experiments", "models", "inputs"):
        assert not [entry.name for entry in entries(kind) if not entry.summary]
    models = {entry.name: entry.summary for entry in entries("models")}
    assert models["pocket"].endswith("Licence: Apache-2.0.")
    assert models["sdxl"].endswith("Licence: CreativeML Open RAIL++-M.")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("graphs", "toon               A real clip becomes a cartoon."),
        ("graphs", "small                (graphs/small.yaml)"),
        ("experiments", "mine       A try of my own.  (conf/experiment/mine.yaml)"),
        ("models", "wan2.9            A model. Big. Licence: MIT.  (conf/model/wan2.9.yaml)"),
        ("operators", "step                Adds a step.  (my_ops)"),
        ("operators", "resize              Bring frames to a size in pixels."),
    ],
)
def test_a_list_is_a_line_each(cli: Cli, own: Path, kind: str, line: str) -> None:
    code, out, err = cli("list", kind)
    assert (code, err) == (0, "")
    assert " ".join(line.split()) in [" ".join(text.split()) for text in out.splitlines()]
    rows = json.loads(cli("list", kind, "--json")[1])
    assert [row["name"] for row in rows] == [text.split()[0] for text in out.splitlines()]


def test_a_list_of_nothing_named_is_the_names_of_all(cli: Cli, own: Path) -> None:
    code, out, _ = cli("list")
    assert code == 0
    assert "experiments (experiment=NAME): diffutoon, mine" in out
    assert "wan2.9" in out
    assert json.loads(cli("list", "--json")[1])["experiments"] == ["diffutoon", "mine"]


def test_a_broken_file_is_listed_all_the_same(cli: Cli, own: Path) -> None:
    (own / "graphs" / "broken.yaml").write_bytes(b"\xff\xfe: [")
    (own / "graphs" / "folded.yaml").write_text("# What it does.\ndescription: >\n  long\n")
    out = cli("list", "graphs")[1]
    assert "broken " in out
    assert "folded What it does. (graphs/folded.yaml)" in " ".join(out.split())


def test_a_list_is_quick() -> None:
    assert_quick(["-m", "flowsynth", "list", "graphs"])


def _written(out: str) -> dict[str, str]:
    """Key -> where its value is from, of lines with a comment; keys of one name: the last."""
    rows = [line.partition("  # ") for line in out.splitlines()[1:]]
    return {line.split(":")[0].strip(): origin for line, comment, origin in rows if comment}


def test_each_value_says_where_it_was_written(cli: Cli, own: Path) -> None:
    code, out, _ = cli("config", "experiment=mine", "seed=3", "model.dtype=float32")
    assert code == 0
    said = _written(out)
    assert said["by"] == "graphs/small.yaml:6"  # of the last node
    assert said["seed"] == said["dtype"] == "command line"
    assert said["family"].startswith("shipped conf/model/pocket.yaml:")
    assert said["offline"].startswith("shipped conf/flowsynth_main.yaml:")
    top = next(line for line in out.splitlines() if line.startswith("by:"))
    assert top.endswith("# conf/experiment/mine.yaml:4")
    values = yaml.safe_load(out)
    assert values["by"] == 5
    assert values["graph"]["nodes"]["first"]["params"] == {"by": "${by}"}
    assert "hydra" not in values


def test_a_worked_out_value_says_what_was_written(cli: Cli, own: Path) -> None:
    _, out, _ = cli("config", "--resolve", "-p", "graph.nodes.first.params", "graph=small", "by=7")
    assert out.splitlines()[1].split("  # ")[0].strip() == "by: 7"
    assert out.splitlines()[1].endswith("graphs/small.yaml:4, ${by}")
    rows = json.loads(cli("config", "--json", "-p", "by", "graph=small", "by=7")[1])
    assert rows == [{"path": "by", "value": 7, "from": "command line"}]


def test_lines_are_those_of_the_file_for_every_kind_of_file(cli: Cli, own: Path) -> None:
    """What a line says is what stands in that line of that file."""
    from flowsynth.config.folders import shipped_folders

    rows = json.loads(cli("config", "--json", "experiment=mine", "model=pocket_motion")[1])
    checked = 0
    for row in rows:
        origin, colon, line = row["from"].removeprefix("shipped ").rpartition(":")
        if not colon:
            continue
        shipped = row["from"].startswith("shipped ")
        home = shipped_folders().graphs.parent if shipped else own
        text = (home / origin).read_text().splitlines()[int(line) - 1]
        assert row["path"].rpartition(".")[2] in text
        checked += 1
    assert checked > 30


def test_what_hydra_is_told_is_shown_and_nothing_else_of_it(cli: Cli, own: Path) -> None:
    out = cli("config", "graph=small", "hydra.run.dir=there")[1]
    assert yaml.safe_load(out)["hydra"] == {"run": {"dir": "there"}}


def test_a_wrong_key_is_one_message(cli: Cli, own: Path) -> None:
    code, _, err = cli("config", "-p", "sed", "graph=small")
    assert code == 2
    assert "config: --package: no such key" in err
    assert "did you mean 'seed'" in err


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("small", "graph=small"),
        ("smal", "graph=small"),
        ("graphs/small.yaml", "graph=small"),
        ("./graphs/small.yaml", "graph=small"),
        ("toon", "graph=toon"),
        ("mine", "experiment=mine"),
        ("conf/experiment/mine.yaml", "experiment=mine"),
        ("conf/model/wan2.9.yaml", "model=wan2.9"),
        ("graph=./graphs/small.yaml", "graph=small"),
        ("graph=graphs/small", "graph=small"),
        ("experiment=conf/experiment/mine.yaml", "experiment=mine"),
    ],
)
def test_a_name_or_a_path_alone_is_hinted(cli: Cli, own: Path, given: str, hint: str) -> None:
    code, _, err = cli("run", given)
    assert code == 2
    assert f"did you mean {hint!r}?" in err
    assert len(err.splitlines()) == 1


def test_what_is_nowhere_near_gets_no_hint(cli: Cli, own: Path) -> None:
    assert "did you mean" not in cli("run", "xyzzyplugh")[2]
    err = cli("run", "graph=/elsewhere/x.yaml")[2]
    assert "names, without folder and ending, of files in graphs/ of the current folder" in err
