"""A file that changes while a run goes on: the node fails, nothing is kept, the original is right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.api.session import Session
from flowsynth.core.events import Observer
from tests.contracts.changing import CASES, Case
from tests.contracts.changing_models import MODELS


class Gate(Observer):
    """Does something when a node starts."""

    def __init__(self, node: str, act: Callable[[], object]) -> None:
        self._node, self._act = node, act
        self.passed = False

    def node_started(self, node: str, device: str) -> None:
        """Act at the first start of the node."""
        if node == self._node and not self.passed:
            self.passed = True
            self._act()


def in_place(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def replaced(file: Path, data: bytes) -> None:
    new = file.with_name("new" + file.suffix)
    new.write_bytes(data)
    old = file.stat()
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    new.replace(file)


def result(case: Case, session: Session) -> str:
    """The hash of what the graph gives."""
    run = case.graph.run(session=session)
    (name,) = case.graph.outputs
    return next(iter(run.record.nodes[name].objects.values()))


#: Every kind of file, each overwritten or replaced; what takes long and is much like another is slow.
KINDS = {**CASES, **MODELS}
SLOW = {
    "motion",
    "controlnet",
    "pipeline_lora",
    "checkpoint",
    "scheduler",
    "pipeline_config",
    "pipeline_scheduler",
    "pipeline_words",
}
HOW = [(kind, in_place if i % 2 else replaced) for i, kind in enumerate(KINDS)]
SWAPS = [
    pytest.param(kind, how, marks=[pytest.mark.slow] if kind in SLOW else [])
    for kind, how in [*HOW, ("video", in_place), ("lora", in_place)]
]


@pytest.mark.sample(5)
@pytest.mark.parametrize(("kind", "change"), SWAPS)
def test_a_file_that_changes_at_a_gate(
    kind: str, change: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    case = KINDS[kind](tmp_path)
    original = case.file.read_bytes()
    with Session(tmp_path / "fresh") as fresh:
        right = result(case, fresh)
    with Session(tmp_path / "cache") as session:
        gate = Gate(case.node, lambda: change(case.file, case.other))
        with pytest.raises(fs.RunFailedError, match=f"{case.node}: .*{case.file.name} changed while the run"):
            case.graph.run(session=session, observer=gate)
        assert gate.passed
        other = result(case, session)
        change(case.file, original)
        assert result(case, session) == right
        assert other != right
    with Session(tmp_path / "cache") as session:
        assert result(case, session) == right
        change(case.file, case.other)
        assert result(case, session) == other


def test_a_file_that_changes_between_two_chunks(tmp_path: Path) -> None:
    case = CASES["video"](tmp_path)
    with Session(tmp_path / "cache") as session:
        done: list[int] = []

        class Second(Observer):
            def task_finished(self, node: str, status: object, count: int, total: int | None) -> None:
                done.append(count)
                if count == 2:
                    case.file.write_bytes(case.other)

        with pytest.raises(fs.RunFailedError, match="changed while the run went on"):
            case.graph.run(session=session, observer=Second(), chunk=1)
        assert len(done) <= 3


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    case = CASES["picture"](tmp_path)
    gate = Gate("read", lambda: case.file.rename(tmp_path / "elsewhere.png"))
    with pytest.raises(fs.RunFailedError, match=r"read: .*a\.png"):
        case.graph.run(cache_dir=tmp_path / "cache", observer=gate)


#: What lies in a folder, and a file that comes while the run goes on and would be chosen too.
COMING: dict[str, str] = {
    "pictures": "0b.png",
    "pattern": "0b.png",
    "config": "more.json",
    "tokenizer": "added_tokens.json",
    "pipeline_words": "generation_config.json",
}


@pytest.mark.parametrize("kind", COMING)
def test_a_file_that_comes_into_a_folder(kind: str, tmp_path: Path) -> None:
    case = KINDS[kind](tmp_path)
    new = case.file.with_name(COMING[kind])
    with Session(tmp_path / "cache") as session:
        gate = Gate(case.node, lambda: new.write_bytes(case.other if new.suffix == ".png" else b"{}"))
        with pytest.raises(fs.RunFailedError, match=f"{case.node}: .*files came or went while the run"):
            case.graph.run(session=session, observer=gate)
        assert gate.passed
        new.unlink()
        right = result(case, session)
    with Session(tmp_path / "fresh") as fresh:
        assert result(case, fresh) == right


@pytest.mark.parametrize("kind", ["pictures", "config"])
def test_a_file_that_comes_and_is_none_of_ours(kind: str, tmp_path: Path) -> None:
    case = KINDS[kind](tmp_path)
    gate = Gate(case.node, lambda: case.file.with_name("notes.md").write_text("seen by nobody"))
    assert case.graph.run(cache_dir=tmp_path / "cache", observer=gate).ok
    assert gate.passed


def test_a_link_that_leads_elsewhere(tmp_path: Path) -> None:
    case = CASES["picture"](tmp_path)
    real, other = case.file.rename(tmp_path / "real.png"), tmp_path / "other.png"
    other.write_bytes(case.other)
    case.file.symlink_to(real)
    with Session(tmp_path / "fresh") as fresh:
        right = result(case, fresh)

    def retarget() -> None:
        case.file.unlink()
        case.file.symlink_to(other)

    with Session(tmp_path / "cache") as session:
        with pytest.raises(fs.RunFailedError, match="changed while the run went on"):
            case.graph.run(session=session, observer=Gate("read", retarget))
        assert result(case, session) != right
        case.file.unlink()
        case.file.symlink_to(real)
        assert result(case, session) == right
