import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pytest

from flowsynth.cli import main
from flowsynth.core.operator import DEFINED
from tests import processes

ROOT = Path(__file__).resolve().parents[2]

OPERATORS = '''
"""Operators of a user's own."""

import flowsynth as fs


class Step(fs.Operator):
    """Adds a step.

    Raises on request.
    """

    op = "step"
    version = 1
    by: int = 1
    fail: bool = False

    def run(self, ctx, /, *, x: int = 0) -> int:
        if self.fail:
            raise ValueError("asked to fail")
        return x + self.by


class Join(fs.Operator):
    """Adds two numbers."""

    op = "join"
    version = 1

    def run(self, ctx, /, *, a: int, b: int = 0) -> int:
        return a + b
'''

GRAPH = """
settings: {by: 1}
nodes:
  first: {op: step, params: {by: "${by}"}}
  second: {op: step, inputs: {x: first}, params: {by: 10}}
  other: {op: step, inputs: {x: first}, params: {by: 100}}
  last: {op: join, inputs: {a: second, b: other}}
outputs: [last]
"""


class Cli(Protocol):
    """The command line in this process."""

    def __call__(self, *argv: str) -> tuple[int, str, str]: ...


class Shell(Protocol):
    """The real program in a process of its own."""

    def __call__(self, *argv: str, **kwargs: Any) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder and an empty cache, and operators of a user's own in `my_ops.py`."""
    folder = tmp_path / "work"
    (folder / "graphs").mkdir(parents=True)
    (folder / "my_ops.py").write_text(OPERATORS)
    (folder / "graphs" / "small.yaml").write_text(GRAPH)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FLOWSYNTH_CACHE", raising=False)
    yield folder
    sys.modules.pop("my_ops", None)
    for name in ("step", "join"):
        DEFINED.pop(name, None)


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*argv: str) -> tuple[int, str, str]:
        sys.modules.pop("my_ops", None)
        code = main(["--operators", "my_ops.py", *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def shell(home: Path) -> Shell:
    """Run the real program in a process of its own."""

    def run(*argv: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **kwargs.pop("env", {})}
        command = [sys.executable, "-m", "flowsynth", *argv]
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, **kwargs)

    return run


@pytest.fixture
def forked(home: Path) -> Shell:
    """Run the program in a process of its own that was forked from one that has imported much already."""

    def run(*argv: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return processes.run("-m", "flowsynth", *argv, environment=kwargs.pop("env", {}), **kwargs)

    return run


def assert_quick(argv: list[str], tries: int = 4) -> subprocess.CompletedProcess[str]:
    """Run Python in less CPU time than three times the imports of hydra, networkx and pydantic take.

    Both read bytecode, as they do for users, wherever these tests may write any.
    """
    return _quick(
        argv, tries, {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": _bytecode()}
    )


@lru_cache(maxsize=1)
def _bytecode() -> str:
    """Where all these processes have their bytecode."""
    folder = tempfile.mkdtemp(prefix="bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _quick(argv: list[str], tries: int, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    def spent(argv: list[str]) -> tuple[float, subprocess.CompletedProcess[str]]:
        before = sum(os.times()[2:4])
        command = [sys.executable, *argv]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=env)
        return sum(os.times()[2:4]) - before, done

    bare = ["-c", "import hydra, networkx, pydantic"]
    ours, theirs = [], []
    for _ in range(tries):
        seconds, done = spent(argv)
        ours.append(seconds)
        theirs.append(spent(bare)[0])
        if min(ours) < 3 * min(theirs):
            return done
    pytest.fail(f"{min(ours):.2f} CPU s beside {min(theirs):.2f} of the imports")
