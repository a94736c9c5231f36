"""A user's type checker accepts what a user writes, without a plug-in of pydantic's."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

SCRIPT = """\
import flowsynth as fs
from flowsynth.operators import Interpolate, ReadVideo

g = fs.Graph("typed")
clip = g.add("clip", ReadVideo(path="a.mp4", fps=12, width=64))
mid = g.add("mid", Interpolate(fps=24.5), frames=clip)
again = g.add("again", "interpolate", frames=mid, factor=2)
g.outputs = [again]
run = g.run(outputs=[mid, "again"])
frames: fs.Frames = run[mid]
"""


def _positional(path: Path) -> list[int]:
    """Lines where a field of pydantic's has its default by place."""
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pydantic"
        for alias in node.names
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Field"
        and "Field" in imported
        and node.args
    ]


def test_defaults_are_said_by_name() -> None:
    """A type checker reads a field's default by its name alone; else it asks for every argument."""
    found = {str(path.relative_to(ROOT)): _positional(path) for path in (ROOT / "flowsynth").rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}, "write Field(default=...)"


@pytest.mark.slow
def test_mypy_takes_a_user_s_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_offers_every_operator() -> None:
    """Its list is written by ``python -m flowsynth.operators``."""
    import flowsynth.operators
    from flowsynth.core.registry import operator_class
    from flowsynth.core.shipped import shipped_modules
    from flowsynth.operators.__main__ import text

    file = ROOT / "flowsynth" / "operators" / "__init__.py"
    assert file.read_text() == text(), "run: python -m flowsynth.operators"
    offered = {getattr(flowsynth.operators, name) for name in dir(flowsynth.operators)}
    assert offered == {operator_class(name) for name in shipped_modules()}
    assert not hasattr(flowsynth.operators, "ReadVidio")
