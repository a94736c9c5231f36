"""Edited code: an operator, or a helper that it calls, in a user's own package; every run a fresh process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import processes

MAIN = '''"""A user's script."""

import json
import sys

import flowsynth as fs
from tools.scale import factor


class Start(fs.Operator):
    """Where numbers come from."""

    op = "u_start"
    version = 1

    def run(self, ctx: fs.RunContext, /) -> int:
        return 4


class Grow(fs.Operator):
    """Grows a number."""

    op = "u_grow"
    version = 1
    by: int = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> int:
        return x * factor() + self.by


class Show(fs.Operator):
    """A number as text."""

    op = "u_show"
    version = 1

    def run(self, ctx: fs.RunContext, /, *, x: int) -> str:
        return f"{x:05d}"


g = fs.Graph("user")
g.add("show", Show(), x=g.add("grow", Grow(), x=g.add("start", Start())))
explained = {name: g.explain(name, cache_dir=sys.argv[1]) for name in g.nodes}
run = g.run(cache_dir=sys.argv[1])
computed = [name for name, node in run.record.nodes.items() if node.tasks.computed]
print(json.dumps({"computed": computed, "show": run["show"], "explain": explained}))
'''

SCALE = '''"""How much."""

from tools.base import base


def factor() -> int:
    """The factor."""
    return base() * 2


def unrelated() -> int:
    return 1
'''

BASE = """def base() -> int:
    return 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "main.py").write_text(MAIN)
    (folder / "tools" / "scale.py").write_text(SCALE)
    (folder / "tools" / "base.py").write_text(BASE)
    return folder


def run(project: Path) -> dict[str, Any]:
    """Run the user's script in a process of its own."""
    own = {"PYTHONDONTWRITEBYTECODE": "1"}
    done = processes.run("main.py", str(project.parent / "cache"), folder=project, environment=own)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_edits_of_operators_and_helpers(project: Path) -> None:
    first = run(project)
    assert first["computed"] == ["start", "grow", "show"]
    assert first["show"] == "00025"
    assert first["explain"]["grow"] == ["never computed with this cache"]
    assert run(project) == {"computed": [], "show": "00025", "explain": {"start": [], "grow": [], "show": []}}

    # Comments, docstrings, line breaks and functions that nobody calls cost nothing.
    edit(
        project / "main.py",
        "x * factor() + self.by",
        "(\n            x * factor() + self.by  # grown\n        )",
    )
    edit(project / "main.py", '"""Grows a number."""', '"""Grows a number, by a factor."""')
    edit(project / "tools" / "scale.py", '"""The factor."""', '"""How many times."""')
    edit(project / "tools" / "scale.py", "return 1\n", "return 2\n")
    edit(project / "tools" / "base.py", "    return 3", "    # three\n\n    return 3")
    assert run(project)["computed"] == []

    # The operator itself.
    edit(project / "main.py", "+ self.by  #", "+ 2 * self.by  #")
    changed = run(project)
    assert changed["computed"] == ["grow", "show"]
    assert changed["show"] == "00026"
    assert [line.partition(":")[0].partition(" ")[0] for line in changed["explain"]["grow"]] == ["source"]
    assert changed["explain"]["start"] == []

    # A helper of a helper, two modules away.
    edit(project / "tools" / "base.py", "return 3", "return 5")
    changed = run(project)
    assert changed["computed"] == ["grow", "show"]
    assert changed["show"] == "00042"
    assert [line.partition(":")[0].partition(" ")[0] for line in changed["explain"]["grow"]] == ["source"]

    # An edit that changes nothing in the result: the operator runs, and nothing below it.
    edit(project / "tools" / "base.py", "return 5", "return 4 + 1")
    changed = run(project)
    assert changed["computed"] == ["grow"]
    assert changed["show"] == "00042"

    # A param: said with its old and its new value.
    edit(project / "main.py", "Grow(), x", "Grow(by=3), x")
    changed = run(project)
    assert changed["computed"] == ["grow", "show"]
    assert changed["explain"]["grow"] == ["params.by: 1 -> 3"]
    assert changed["explain"]["show"] == ["inputs: not known before the nodes above have run"]


def test_an_input_that_changed_is_named(project: Path) -> None:
    run(project)
    edit(project / "main.py", "return 4\n", "return 5\n")
    edit(project / "main.py", "run = g.run", 'g.run(cache_dir=sys.argv[1], outputs=["start"])\nrun = g.run')
    text = (project / "main.py").read_text()
    # Ask only after "start" has run: then the input of "grow" is known, and is another one.
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("explained"))
    explained = lines.pop(at)
    lines.insert(at + 1, explained)
    (project / "main.py").write_text("\n".join(lines) + "\n")
    (line,) = run(project)["explain"]["grow"]
    assert line.startswith("inputs.x (from start): ")
    assert " -> " in line
