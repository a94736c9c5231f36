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


HOW = [(kind, in_place if i % 2 else replaced) for i, kind in enumerate(CASES)]


@pytest.mark.parametrize(("kind", "change"), [*HOW, ("video", in_place), ("lora", in_place)])
def test_a_file_that_changes_at_a_gate(
    kind: str, change: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    case = CASES[kind](tmp_path)
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
