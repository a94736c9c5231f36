"""What run.json and provenance hold of a request, and where the files of a run go."""

import json
import os
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.api.outputs import file_stems
from flowsynth.cli.jobs import output_folder
from flowsynth.config import compose_request
from flowsynth.core.operator import DEFINED
from flowsynth.core.record import Provenance
from tests.cli.conftest import Cli

SMALL = ("graph=small", "cache.dir=c")

LUCK = '''

from flowsynth.values import Mask


class Luck(fs.Operator):
    """Bits that the seed says; a null seed is a new one."""

    op = "luck"
    version = 1
    seed: int | None = 0
    offset: int = 7

    def run(self, ctx, /) -> Mask:
        import torch

        bits = [(self.seed >> i) & 1 for i in range(32)]
        return Mask(torch.tensor(bits, dtype=torch.float32).reshape(1, 1, 4, 8))

    def cacheable(self) -> bool:
        return self.seed is not None
'''

LUCKY = """
nodes:
  a: {op: luck, params: {seed: '${seed}'}}
  b: {op: luck, params: {seed: 5}}
outputs: [a, b]
"""


@pytest.fixture
def lucky(home: Path) -> Path:
    """A graph whose nodes draw by a seed."""
    with (home / "my_ops.py").open("a") as file:
        file.write(LUCK)
    (home / "graphs" / "lucky.yaml").write_text(LUCKY)
    return home


def record(folder: Path | str = "o") -> dict[str, Any]:
    made: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return made


def test_a_record_says_what_was_asked_and_with_what_it_ran(cli: Cli, home: Path) -> None:
    (home / "conf" / "experiment").mkdir(parents=True)
    (home / "conf" / "experiment" / "e.yaml").write_text("# @package _global_\nby: 3\n")
    typed = ("run", *SMALL, "output_dir=o", "experiment=e", "graph.nodes.second.params.by=4")
    assert cli(*typed)[0] == 0
    made = record()
    assert made["request"]["overrides"] == list(typed[1:])
    assert made["request"]["experiments"] == ["e"]
    assert made["request"]["command"][0] == "flowsynth"
    assert made["request"]["command"][-len(typed) :] == list(typed)
    assert made["nodes"]["first"]["params"] == {"by": 3, "fail": False}
    assert made["nodes"]["second"]["params"] == {"by": 4, "fail": False}
    started, ended = (datetime.fromisoformat(made[name]) for name in ("started", "ended"))
    assert 0 <= (ended - started).total_seconds() <= made["seconds"] + 1
    assert abs((datetime.now(started.tzinfo) - ended).total_seconds()) < 60


def test_provenance_says_the_same(cli: Cli, lucky: Path) -> None:
    assert cli("run", "graph=lucky", "cache.dir=c", "output_dir=o", "seed=9")[0] == 0
    inside = json.loads(cli("show", "o/a.png", "--json")[1])
    made = record()
    assert inside["request"] == made["request"]
    assert inside["params"] == {"a": {"seed": 9, "offset": 7}, "b": {"seed": 5, "offset": 7}}
    assert (inside["started"], inside["ended"]) == (made["started"], made["ended"])
    assert Provenance.model_validate(inside).request.overrides[-1] == "seed=9"


@pytest.mark.parametrize("override", ["seed=null", "graph.nodes.a.params.seed=null"])
def test_a_null_seed_is_drawn_recorded_and_reproduced(cli: Cli, lucky: Path, override: str) -> None:
    code, _, err = cli("run", "graph=lucky", "cache.dir=c", "output_dir=o", override)
    assert code == 0
    made = record()
    seed = made["nodes"]["a"]["params"]["seed"]
    assert made["graph"]["nodes"]["a"]["params"]["seed"] == seed
    assert made["nodes"]["b"]["params"]["seed"] == 5, "a seed that was given stays"
    assert f"seed {seed} was drawn for a" in err
    assert f"seed {seed} was drawn for a" in made["notes"]
    code, out, err = cli("reproduce", "o/a.png", "-q")
    assert code == 0, err
    assert "agrees bit for bit" in out
    cli("run", "graph=lucky", "cache.dir=c", "output_dir=o2", override)
    assert record("o2")["nodes"]["a"]["params"]["seed"] != seed
    # As typed, the drawn seed is a hit.
    cli("run", "graph=lucky", "cache.dir=c", "output_dir=o3", f"seed={seed}")
    assert record("o3")["nodes"]["a"]["status"] == "hit"


def test_null_seeds_of_one_run_are_one_seed_and_the_graph_keeps_its_own(home: Path) -> None:
    class Pair(fs.Operator):
        """Its seed."""

        op = "pair"
        version = 1
        seed: int | None = None

        def run(self, ctx: fs.RunContext, /) -> int:
            assert self.seed is not None
            return self.seed

    try:
        graph = fs.Graph("g")
        graph.add("a", Pair())
        graph.add("b", Pair())
        graph.add("c", Pair(seed=1))
        first, second = (graph.run(cache_dir="c") for _ in range(2))
        assert first["a"] == first["b"] != second["a"]
        assert first["c"] == 1
        assert "seed: null" in graph.to_yaml() or "seed" not in graph.to_dict()["nodes"]["a"].get(
            "params", {}
        )
        assert first.record.graph["nodes"]["a"]["params"]["seed"] == first["a"]  # type: ignore[index, call-overload]
    finally:
        DEFINED.pop("pair")


def test_runs_that_start_together_have_folders_of_their_own(home: Path) -> None:
    settings = compose_request(["graph=small"]).settings
    folders: list[Path] = []
    gate = threading.Barrier(8)

    def claim() -> None:
        gate.wait()
        with output_folder(settings, "small") as folder:
            folders.append(folder)
            (folder / "x").touch()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 8
    assert {folder.parent for folder in folders} == {home / "outputs" / "small"}


def test_a_request_that_is_refused_leaves_no_folder(cli: Cli, home: Path) -> None:
    assert cli("run", "graph=upscale_video", "input.video=nope.mp4", "cache.dir=c")[0] == 2
    assert cli("run", "--multirun", "graph=upscale_video", "input.video=a.mp4,b.mp4", "cache.dir=c")[0] == 1
    found = [path for path in (home / "outputs").rglob("*") if path.is_file()]
    assert sorted(path.name for path in found) == ["sweep.csv", "sweep.json"]


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "a/b", "..", ".hidden", "a\\b", "", "x" * 101, "3", "null", "a\x1b[31mb"]
)
def test_a_graphs_name_stays_below_outputs(cli: Cli, home: Path, name: str) -> None:
    data = json.dumps(name) if name not in ("3", "null") else name
    (home / "graphs" / "bad.yaml").write_text(f"name: {data}\nnodes: {{a: {{op: step}}}}\n")
    code, _, err = cli("run", "graph=bad", "cache.dir=c", "-q")
    assert code == 2
    assert "name: bad name; expected a text that can be the name of a folder" in err
    assert {path.name for path in home.iterdir()} - {"__pycache__"} == {"graphs", "my_ops.py"}


@pytest.mark.parametrize("name", ["Straße 7", "漫画", "v1.2", "a b", "x" * 100])
def test_names_that_are_names_are_taken(cli: Cli, home: Path, name: str) -> None:
    (home / "graphs" / "good.yaml").write_text(f"name: '{name}'\nnodes: {{a: {{op: step}}}}\n")
    code, out, _ = cli("run", "graph=good", "cache.dir=c", "-q")
    assert code == 0
    assert Path(out.splitlines()[-1]).parts[1] == name


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["a/b", "a_b"], ["a_b", "a_b_2"]),
        (["a_b", "a.b", "a/b"], ["a_b", "a_b_2", "a_b_3"]),
        (["a/b", "a_b_2", "a_b"], ["a_b", "a_b_2", "a_b_3"]),
        (["Video", "video"], ["Video", "video_2"]),
        (["x.out", "x"], ["x", "x_2"]),
        (["a", "a"], ["a", "a"]),
        (["x" * 300, "x" * 299], ["x" * 100, "x" * 100 + "_2"]),
    ],
)
def test_no_two_outputs_share_a_file(names: list[str], stems: list[str]) -> None:
    made = file_stems(names)
    assert [made[name] for name in names] == stems


def test_outputs_whose_names_meet_are_both_there(cli: Cli, lucky: Path) -> None:
    (lucky / "graphs" / "two.yaml").write_text(
        "nodes:\n  s: {nodes: {x: {op: luck, params: {seed: 1}}}}\n  s_x: {op: luck, params: {seed: 2}}\n"
        "outputs: [s, s_x]\n"
    )
    assert cli("run", "graph=two", "cache.dir=c", "output_dir=o")[0] == 0
    outputs = record()["outputs"]
    files = {(Path("o") / name).read_bytes() for name in outputs.values()}
    assert len(files) == len(set(outputs.values())) == 2
    for name, file in outputs.items():
        assert json.loads(cli("show", f"o/{file}", "--json")[1])["output"] == name
        assert cli("reproduce", f"o/{file}", "-q")[0] == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["prompt=x"], ["prompt: not used by reproduce", "expected one of cache, chunk"]),
        (["graph=small", "cache.dir=c"], ["graph: not used by reproduce"]),
        (["devic=cpu"], ["did you mean 'device'?"]),
    ],
)
def test_reproduce_takes_settings_only(cli: Cli, lucky: Path, overrides: list[str], words: list[str]) -> None:
    cli("run", "graph=lucky", "cache.dir=c", "output_dir=o")
    code, _, err = cli("reproduce", "o/a.png", *overrides)
    assert code == 2
    assert not [word for word in words if word not in err], err


@pytest.mark.skipif(os.name != "posix", reason="paths are bytes on POSIX alone")
def test_a_folder_whose_name_is_no_utf8_costs_no_result(
    cli: Cli, lucky: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(os.fsdecode(os.fsencode(str(lucky)) + b"/odd\xff"))
    (odd / "graphs").mkdir(parents=True)
    for name in ("graphs/lucky.yaml", "my_ops.py"):
        (odd / name).write_bytes((lucky / name).read_bytes())
    monkeypatch.chdir(odd)
    code, out, err = cli("run", "graph=lucky", "cache.dir=c")
    assert code == 0, err
    made = record((odd / out.splitlines()[-1]).parent)
    assert re.search(r"outputs.lucky", out)
    assert made["status"] == "done"
    file = odd / Path(out.splitlines()[-1].encode().decode("unicode_escape")).parent / "a.png"
    inside = json.loads(cli("show", str(file), "--json")[1])
    assert inside["folder"] == str(odd), "an escape in JSON reads back as it was"
    assert cli("reproduce", str(file), "-q")[0] == 0


@pytest.mark.skipif(os.name != "posix", reason="paths are bytes on POSIX alone")
def test_values_that_json_cannot_hold_cost_no_result(home: Path) -> None:
    class Odd(fs.Operator):
        """Reads nothing."""

        op = "odd"
        version = 1
        path: str = ""
        limit: float = 0.0

        def run(self, ctx: fs.RunContext, /) -> int:
            return 1

    try:
        graph = fs.Graph("g")
        graph.add("a", Odd(path=os.fsdecode(b"p\xff.png"), limit=float("inf")))
        graph.run(cache_dir="c", output_dir="o")
        params = record()["graph"]["nodes"]["a"]["params"]
        assert os.fsencode(params["path"]) == b"p\xff.png"
        again = fs.Graph.from_dict(record()["graph"])
        assert again.nodes["a"].operator == graph.nodes["a"].operator
        assert again.run(cache_dir="c").record.nodes["a"].status == "hit"
    finally:
        DEFINED.pop("odd")
