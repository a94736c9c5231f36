import json
from pathlib import Path

from flowsynth.weights.catalogue import catalogue
from tests.cli.conftest import Cli, Shell


def test_list_says_what_there_is_without_torch(cli: Cli, shell: Shell) -> None:
    code, out, _ = cli("weights", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert set(rows) == set(catalogue())
    assert rows["rife-v4"]["licence"] == "MIT"
    assert rows["rife-v4"]["path"] is None
    done = shell("weights", "list", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert "    not fetched" in done.stdout.splitlines()
    assert not [line for line in done.stderr.splitlines() if line.split("|")[-1].strip() == "torch"]


def test_verify_and_fetch_offline_say_how_to_get_them(cli: Cli, home: Path) -> None:
    code, out, _ = cli("weights", "verify", "rife-v4", "cache.dir=c")
    assert (code, out) == (1, "rife-v4: not fetched\n")
    code, _, err = cli("weights", "fetch", "rife-v4", "cache.dir=c", "offline=true")
    assert code == 1
    assert "run 'flowsynth weights fetch rife-v4' where there is a network" in err
    folder = home / "c" / "weights"
    folder.mkdir(parents=True)
    (folder / f"rife-v4-{catalogue()['rife-v4'].tensors_sha256[:12]}.safetensors").write_bytes(b"x" * 40)
    code, out, _ = cli("weights", "verify", "rife-v4", "cache.dir=c")
    assert (code, out) == (1, "rife-v4: damaged; it will be fetched again when needed\n")


def test_mistakes_are_named(cli: Cli) -> None:
    assert "did you mean 'rife-v4'" in cli("weights", "fetch", "rife4")[2]
    assert "expected names, or 'all'" in cli("weights", "fetch")[2]
    code, _, err = cli("weights", "list", "cache.size=3")
    assert (code, "expected cache.dir=PATH or offline=true|false; given 'cache.size=3'" in err) == (2, True)
