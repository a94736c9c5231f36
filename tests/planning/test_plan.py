"""What a plan says, and that it leaves no trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowsynth.api import Graph
from flowsynth.core.errors import RequestError
from tests import processes
from tests.api.test_counts import diamond, streamed
from tests.cache.helpers import python
from tests.streams import write_source


def statuses(graph: Graph, cache: Path, outputs: list[str] | None = None) -> dict[str, str]:
    plan = graph.plan(cache_dir=cache, outputs=outputs)
    return {name: step.status for name, step in plan.steps.items()}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of all files in a folder.

    SQLite's shared memory and its (empty) log are left out: any reader of an index in WAL mode makes them.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name in ("cache.db-shm", "cache.db-wal"):
            continue
        stat = path.stat()
        found[str(path.relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return found


def test_hit_run_and_unknown(tmp_path: Path) -> None:
    assert statuses(diamond(), tmp_path) == {
        "a": "run", "b": "unknown", "c": "unknown", "d": "unknown",
        "m": "unknown", "n": "unknown", "e": "unknown", "other": "run",
    }  # fmt: skip
    diamond().run(cache_dir=tmp_path, keep="all")
    assert set(statuses(diamond(), tmp_path).values()) == {"hit"}
    changed = statuses(diamond(left=3), tmp_path)
    assert changed == dict.fromkeys(["a", "c", "n", "other"], "hit") | {
        "b": "run", "d": "unknown", "m": "unknown", "e": "unknown",
    }  # fmt: skip
    assert statuses(diamond(left=3), tmp_path, ["c"]) == {"a": "hit", "c": "hit"}


def test_rerun_only_where_a_lost_object_is_needed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    source = write_source(tmp_path / "s.txt", range(40))
    streamed(source).run(cache_dir=cache)
    for path in (cache / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    # "mean" is to be delivered; what it reads is then needed, and so on up; "total" is a number.
    assert statuses(streamed(source), cache) == {
        "clip": "rerun", "mapped": "rerun", "mean": "rerun", "total": "hit",
    }  # fmt: skip
    assert set(statuses(streamed(source), cache, ["total"]).values()) == {"hit"}
    run = streamed(source).run(cache_dir=cache)
    assert run.record.nodes["total"].status == "hit"
    assert run.record.nodes["mean"].status == "computed"
    assert set(statuses(streamed(source), cache).values()) == {"hit"}


@pytest.mark.skipif(os.name != "posix", reason="times of change")
def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    source = write_source(tmp_path / "s.txt", range(40))
    statuses(streamed(source), cache)
    assert not cache.exists()
    streamed(source).run(cache_dir=cache)
    before = listing(cache)
    for graph in (streamed(source), streamed(source, strength=9), diamond()):
        statuses(graph, cache)
        graph.explain(next(iter(graph.nodes)), cache_dir=cache)
    assert listing(cache) == before
    log = cache / "index" / "cache.db-wal"
    assert not log.exists() or log.stat().st_size == 0


PROGRAM = """
import sys
import flowsynth as fs
from flowsynth.core.registry import operator_class

class Inc(fs.Operator):
    \"\"\"Adds a step.\"\"\"

    op = "p_inc"
    version = 1
    step: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int = 0) -> int:
        return x + self.step

g = fs.Graph("p")
clip = g.add("clip", operator_class("read_image")(path=sys.argv[2]))
edges = g.add("edges", operator_class("annotate")(), frames=clip)
g.add("b", Inc(step=2), x=g.add("a", Inc()))
if sys.argv[3] == "run":
    g.run(cache_dir=sys.argv[1])
else:
    print({name: step.status for name, step in g.plan(cache_dir=sys.argv[1]).steps.items()})
    if sys.argv[3] == "hits":
        print(g.run(cache_dir=sys.argv[1])["b"])
    heavy = {"torch", "diffusers", "transformers", "av", "hydra", "PIL", "numpy", "triton"} & set(sys.modules)
    print(sorted(heavy))
"""


def test_a_plan_and_a_run_of_hits_import_no_torch(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 24), (200, 30, 60)).save(tmp_path / "p.png")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    arguments = (tmp_path / "cache", tmp_path / "p.png")
    cold = python(command, *arguments, "plan").splitlines()
    assert cold == ["{'clip': 'run', 'edges': 'unknown', 'a': 'run', 'b': 'unknown'}", "[]"]
    processes.python(command, *arguments, "run")
    warm = python(command, *arguments, "hits").splitlines()
    assert warm == ["{'clip': 'hit', 'edges': 'hit', 'a': 'hit', 'b': 'hit'}", "3", "[]"]


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="did you mean 'other'"):
        diamond().plan(cache_dir=tmp_path, outputs=["othr"])
    with pytest.raises(RequestError, match="did you mean 'other'"):
        diamond().explain("othr", cache_dir=tmp_path)
