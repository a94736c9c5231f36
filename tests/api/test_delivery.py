"""What a run leaves behind is this run's, and what it needs is there while it goes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import flowsynth as fs
from flowsynth.api import Graph, Session
from flowsynth.cache.platform import host_tag
from flowsynth.core.errors import Fault, GraphError, RunError
from flowsynth.core.record import Provenance
from flowsynth.operators.files.save_images import SaveImages
from tests.executors.dags import Draw, Kernel, Plus


def frames(count: int, save: bool) -> Graph:
    g = Graph("frames")
    end = g.add("end", Draw(count=count), seed=g.add("seed", Plus()))
    if save:
        g.add("saved", SaveImages(), frames=end)
    return g


@pytest.mark.parametrize("save", [False, True])
def test_fewer_pictures_leave_none_of_more(tmp_path: Path, save: bool) -> None:
    folder = tmp_path / "out" / ("saved" if save else "end")
    for count in (6, 3, 4):
        frames(count, save).run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
        assert len(list(folder.iterdir())) == count
        (folder / "notes.txt").write_text("mine")
        (folder / "my_000009.png").write_text("mine")
        frames(count, save).run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
        assert len(list(folder.iterdir())) == count + 2
        (folder / "notes.txt").unlink()
        (folder / "my_000009.png").unlink()


class Waits(fs.Operator):
    """Waits for another run to end."""

    op = "delivery_waits"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> int:
        STARTED.set()
        assert GO.wait(60)
        return x


STARTED, GO = threading.Event(), threading.Event()


def test_a_run_that_ends_does_not_give_away_what_another_needs(tmp_path: Path) -> None:
    STARTED.clear()
    GO.clear()
    slow = Graph("slow")
    number = slow.add("number", Plus())
    slow.add("kernel", Kernel(), x=number)
    slow.add("waits", Waits(), x=number)
    with Session(tmp_path / "cache") as session:
        found: list[fs.Run] = []
        thread = threading.Thread(target=lambda: found.append(slow.run(session=session)))
        thread.start()
        assert STARTED.wait(60)
        frames(3, save=False).run(session=session)
        held = set(session.cache.live)
        GO.set()
        thread.join(60)
        assert held, "the objects of the run that still went"
        assert not session.cache.live
        assert found[0].ok


def test_a_wanted_value_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    g = Graph("gone")
    g.add("kernel", Kernel(), x=g.add("number", Plus()))
    run = g.run(cache_dir=tmp_path / "cache")
    run = g.run(cache_dir=tmp_path / "cache")  # a hit, so that nothing is in memory
    for path in (tmp_path / "cache" / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(RunError, match="has been evicted from the cache, or lost, since; run it again"):
        run["kernel"]


class Checks(fs.Operator):
    """Raises when it is asked to check itself, or gives what is no list of faults."""

    op = "delivery_checks"
    version = 1
    how: str = ""

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        if self.how == "raises":
            raise ZeroDivisionError("in check")
        return None if self.how == "none" else []  # type: ignore[return-value]

    def run(self, ctx: fs.RunContext, /) -> int:
        return 1


@pytest.mark.parametrize("how", ["raises", "none"])
def test_a_check_that_raises_is_named(how: str) -> None:
    with pytest.raises(GraphError, match=r"nodes\.bad: delivery_checks cannot be checked: \w+Error"):
        Graph("bad").add("bad", Checks(how=how))
    with pytest.raises(GraphError, match=r"nodes\.bad: delivery_checks cannot be checked"):
        Graph.from_dict({"nodes": {"bad": {"op": "delivery_checks", "params": {"how": how}}}})
    Graph("good").add("good", Checks())


def test_what_killed_runs_left_goes_whatever_file_it_was_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    dead = f"{host_tag()}.{2**22 + 1}.7.tmp"  # no such process: the largest id on Linux is 2**22
    left = [out / f".{name}.{dead}" for name in ("run.json", "clip.mp4", "another.png")]
    others = [out / ".hidden.tmp", out / f"{dead}.mine", out / f".x.{host_tag()}.{os.getpid()}.1.tmp"]
    for path in (*left, *others):
        path.write_bytes(b"half")
    g = Graph("g")
    g.add("a", Plus(step=1))
    g.run(cache_dir=tmp_path / "cache", output_dir=out)
    assert (out / "run.json").is_file()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_each_file_says_which_output_it_is(tmp_path: Path) -> None:
    g = Graph("g")
    for i, name in enumerate(("one", "two")):
        g.add(name, Kernel(), x=g.add(f"step{i}", Plus(step=i + 1)))
    run = g.run(cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
    for name in ("one", "two"):
        with safe_open(tmp_path / "out" / str(run.record.outputs[name]), "pt") as file:
            text = file.metadata()["flowsynth"]
        said = Provenance.model_validate_json(text)
        assert (said.output, said.object) == (name, run.record.nodes[name].objects["out"])
        assert text == said.to_json(), "the same text as if it were made alone"
