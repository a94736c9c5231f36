"""A secret out of the environment acts, and stands in no record, no row of the cache, not on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowsynth.core import secrets
from flowsynth.core.errors import RequestError
from tests.cli.conftest import Shell

SECRET, PIN = 's3"cr\\et-ü', "31415926"
OPERATORS = '''
import flowsynth as fs


class Echo(fs.Operator):
    """Says what it is given."""

    op = "echo"
    version = 1
    text: str = ""
    number: int = 0
    fail: bool = False

    def run(self, ctx, /) -> int:
        ctx.note(f"given {self.text}")
        if self.fail:
            raise ValueError(f"refused {self.text}")
        return len(self.text) + self.number
'''
GRAPH = (
    'nodes: {say: {op: echo, params: {text: "https://x?t=${oc.env:TOKEN}&y",'
    ' number: "${oc.decode:${oc.env:PIN}}"}}}\n'
)
MARKED = {"TOKEN": SECRET, "PIN": PIN, "FLOWSYNTH_SECRET_ENV": "TOKEN,PIN"}
BY = ["--operators", "echo_ops.py"]


@pytest.fixture
def place(home: Path) -> Path:
    (home / "echo_ops.py").write_text(OPERATORS)
    (home / "graphs" / "sec.yaml").write_text(GRAPH)
    return home


def leaks(folder: Path) -> list[str]:
    """Files that hold a secret, as it is or as JSON writes it."""
    shapes = [shape.encode() for shape in (SECRET, json.dumps(SECRET)[1:-1], "cr\\\\et", PIN)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(shape in path.read_bytes() for shape in shapes)]


def test_a_secret_acts_and_is_written_nowhere(place: Path, forked: Shell) -> None:
    done = forked(*BY, "run", "graph=sec", "cache.dir=c", "output_dir=out", env=MARKED)
    assert done.returncode == 0, done.stderr
    value = len(f"https://x?t={SECRET}&y") + int(PIN)
    assert f"say = {value}" in done.stdout
    record = json.loads((place / "out" / "run.json").read_text())
    assert record["graph"]["nodes"]["say"]["params"] == {
        "text": "https://x?t=${oc.env:TOKEN}&y",
        "number": "${oc.env:PIN}",
    }
    assert "given https://x?t=${oc.env:TOKEN}&y" in done.stderr
    assert not leaks(place)


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    "line",
    [
        ["run", "graph=sec", "cache.dir=c", "output_dir=out", "graph.nodes.say.params.fail=true"],
        ["run", "graph=sec", "cache.dir=c", "output_dir=out", "--json"],
        [
            "run",
            "--multirun",
            "graph=sec",
            "cache.dir=c",
            "output_dir=out",
            "graph.nodes.say.params.fail=true,false",
        ],
        ["plan", "graph=sec", "cache.dir=c", "--json"],
        ["graph", "graph=sec", "--format", "json", "-o", "g.json"],
        ["graph", "graph=sec", "--format", "json"],
        ["validate", "graph=sec", "graph.nodes.say.params.number='${oc.env:TOKEN}'"],
    ],
    ids=lambda line: " ".join(line[:2]),
)
def test_no_command_shows_one(place: Path, forked: Shell, line: list[str]) -> None:
    done = forked(*BY, *line, env=MARKED)
    for shape in (SECRET, json.dumps(SECRET)[1:-1], PIN):
        assert shape not in done.stdout + done.stderr
    assert not leaks(place)


def test_another_value_is_another_key(place: Path, forked: Shell) -> None:
    plan = ["plan", "graph=sec", "cache.dir=c"]
    assert forked(*BY, "run", "graph=sec", "cache.dir=c", env=MARKED).returncode == 0
    assert "1 hit" in forked(*BY, *plan, env=MARKED).stdout
    assert "1 hit" not in forked(*BY, *plan, env={**MARKED, "PIN": "27182818"}).stdout


def test_one_that_is_not_allowed_short_or_missing_is_refused(place: Path, forked: Shell) -> None:
    plan = [*BY, "plan", "graph=sec", "cache.dir=c"]
    for env, said in (
        ({"TOKEN": SECRET, "PIN": PIN}, "FLOWSYNTH_SECRET_ENV=TOKEN keeps it out"),
        ({**MARKED, "PIN": "314"}, "the value of PIN is too short to be hidden"),
        ({"PIN": PIN, "FLOWSYNTH_SECRET_ENV": "TOKEN,PIN"}, "needs the environment variable TOKEN"),
    ):
        done = forked(*plan, env=env)
        assert done.returncode == 2
        assert said in done.stderr


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_shown", {})


def test_a_graph_out_of_a_record_finds_its_secret_again(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = {"nodes": {"a": {"params": {"x": ["t=${oc.env:TOKEN}", 3]}}}}
    with pytest.raises(RequestError, match="needs the secret TOKEN"):
        secrets.revealed(graph)
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setenv("FLOWSYNTH_SECRET_ENV", "TOKEN")
    found = secrets.revealed(graph)
    assert found["nodes"]["a"]["params"]["x"] == [f"t={SECRET}", 3]
    assert secrets.hidden(found) == graph
