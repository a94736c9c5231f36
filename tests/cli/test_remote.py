"""``cache.remote`` as it is typed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_a_second_machine_has_hits_and_a_plan_says_from_where(cli: Cli, home: Path) -> None:
    remote = f"cache.remote=file://{home / 'shared'}"
    code, _, err = cli("run", "graph=small", "cache.dir=c1", remote, "output_dir=o1")
    assert code == 0
    assert "note:" not in err
    code, out, _ = cli("plan", "graph=small", "cache.dir=c2", remote)
    assert code == 0
    assert out.count("hit      in the remote cache") == 4
    assert not Path("c2").exists()
    plan = json.loads(cli("plan", "graph=small", "cache.dir=c2", remote, "--json")[1])
    assert all(node["remote"] for node in plan["nodes"].values())
    code, _, err = cli("run", "graph=small", "cache.dir=c2", remote, "output_dir=o2")
    assert code == 0
    assert "small: all 4 nodes from the cache" in err
    assert f"note: from file://{home / 'shared'}: 4 result(s), 0 object(s) of 0 bytes" in err
    assert "in the remote cache" not in cli("plan", "graph=small", "cache.dir=c2", remote)[1]


def test_a_sweep_shares_too(cli: Cli, home: Path) -> None:
    remote = f"cache.remote=file://{home / 'shared'}"
    sweep = ("--multirun", "graph=small", remote, "by=1,2", "-q")
    assert cli("run", *sweep, "cache.dir=c1", "output_dir=o1")[0] == 0
    code, _, err = cli("run", *sweep, "cache.dir=c2", "output_dir=o2")
    assert code == 0
    assert "8 result(s)" in err
    rows = json.loads(Path("o2/sweep.json").read_text())["jobs"]
    assert sum(row["tasks"]["computed"] for row in rows) == 0


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s4://x/y", "cache.remote: bad value; expected s3://BUCKET/FOLDER"),
        ("s3://name:pass1234@bucket/y", "expected no name and no password in it"),
        ("file:///no/such/folder", "cache.remote: file:///no/such/folder: No such file or directory"),
        ("file://here", "expected the whole path of a folder"),
        ("12", "cache.remote: bad value"),
        ("[a,b]", "cache.remote: bad value"),
    ],
)
def test_what_is_no_place_is_said_before_anything_runs(cli: Cli, home: Path, address: str, said: str) -> None:
    for command in ("run", "plan"):
        code, _, err = cli(command, "graph=small", "cache.dir=c", f"cache.remote={address}")
        assert code == 2
        assert said in err
        assert "pass1234" not in err
        assert "Traceback" not in err
    assert not Path("c").exists()
    assert not Path("outputs").exists()


def test_nearest_name(cli: Cli) -> None:
    code, _, err = cli("run", "graph=small", "cache.remot=file:///x")
    assert code == 2
    assert "did you mean 'remote'?" in err


def test_results_are_carried_as_a_file(cli: Cli, home: Path) -> None:
    assert cli("cache", "export", "small", "s.zip", "cache.dir=c1")[0] == 2
    cli("run", "graph=small", "cache.dir=c1", "output_dir=o1")
    code, out, _ = cli("cache", "export", "small", "s.zip", "cache.dir=c1")
    assert code == 0
    assert out.startswith("s.zip: 4 results, 0 objects, ")
    data = json.loads(cli("cache", "import", "s.zip", "cache.dir=c2", "--json")[1])
    assert (data["rows"], data["damaged"]) == (4, [])
    assert "all 4 nodes from the cache" in cli("run", "graph=small", "cache.dir=c2", "output_dir=o2")[2]
    code, out, _ = cli("cache", "export", "small", "s.zip", "cache.dir=c1", "by=7")
    assert code == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["export", "small"], "cache export: expected GRAPH and FILE; given small"),
        (["export", "smal", "s.zip"], "did you mean 'small'?"),
        (["import"], "cache import: expected FILE; given none"),
        (["import", "none.zip"], "cache import: no such file"),
        (
            ["import", "my_ops.py"],
            "my_ops.py: expected a file of 'flowsynth cache export'; it is no zip file",
        ),
        (["import", "my_ops.py", "seed=1"], "expected cache.dir=PATH or cache.max_bytes=SIZE; given 'seed'"),
        (["stats", "--with-inputs"], "--with-inputs: not used by 'cache stats'"),
    ],
)
def test_what_cannot_be_carried(cli: Cli, home: Path, argv: list[str], said: str) -> None:
    code, _, err = cli("cache", *argv)
    assert code == 2
    assert said in err
