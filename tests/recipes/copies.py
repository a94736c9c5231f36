"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.processes import run

ROOT = Path(__file__).parents[2]
#: What a copy shares with the checkout: recipes change none of it.
_SHARED = ("benchmarks", "conf", "graphs", "tests", "pyproject.toml", "README.md", "CONTRIBUTING.md")


def recipe(heading: str) -> dict[str, str]:
    """The files that a recipe writes: its code blocks, each under the path that its first line names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {re.escape(heading)}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"CONTRIBUTING.md has no recipe {heading!r}"
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert blocks, f"the recipe {heading!r} writes no file"
    return {path: body.lstrip("\n") for path, body in blocks}


def follow(heading: str, folder: Path) -> Path:
    """A copy of the checkout in which a recipe was followed; only new files are written.

    Args:
        heading: of the recipe.
        folder: an empty one.
    """
    shutil.copytree(
        ROOT / "flowsynth", folder / "flowsynth", ignore=shutil.ignore_patterns("assets", "__pycache__")
    )
    (folder / "flowsynth" / "assets").symlink_to(ROOT / "flowsynth" / "assets")
    for name in _SHARED:
        (folder / name).symlink_to(ROOT / name)
    for path, text in recipe(heading).items():
        target = folder / path
        assert not target.exists(), f"{path} is there already: a recipe touches no other file"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


def python(folder: Path, *arguments: str, bare: bool = False) -> str:
    """What Python prints in a copy, whose modules are compiled once.

    Args:
        folder: the copy.
        arguments: of the interpreter, such as ``-m flowsynth ops``.
        bare: whether nothing may have been imported before, not even torch.
    """
    own = {"FLOWSYNTH_CACHE": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": ""}
    own["PYTHONPATH"] = str(folder)
    if bare:
        env = {**os.environ, **own}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    else:
        done = run(*arguments, folder=folder, environment=own, afresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
