"""The recipes of the site, command for command: each prints what stands under it; and no link is broken."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.processes import ROOT, run

RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a file that a recipe writes.
_FILE = re.compile(r"# (\S+/\S+\.\w+)\n")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|#)([^)#]*)[^)]*\)")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all recipes: what a command shares with another is made once."""
    return tmp_path_factory.mktemp("cache")


def expected(line: str) -> re.Pattern[str]:
    """A line of output; ``...`` is anything, and so is how many spaces there are."""
    parts = [r"\s+".join(map(re.escape, part.split(" "))) for part in line.strip().split("...")]
    return re.compile(".*".join(parts))


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines under it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def perform(command: str, folder: Path, cache: Path) -> str:
    """What a command prints, as a person sees it."""
    program, *arguments = shlex.split(command)
    given = ["-m", "flowsynth", *arguments] if program == "flowsynth" else arguments
    assert program in ("flowsynth", "python"), command
    done = run(*given, folder=folder, environment={"FLOWSYNTH_CACHE": str(cache)}, afresh=program == "python")
    return done.stdout + done.stderr


@pytest.mark.sample(3)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_command_prints_what_stands_under_it(recipe: Path, tmp_path: Path, cache: Path) -> None:
    ran, left = 0, list[str]()
    for kind, options, body in _BLOCK.findall(recipe.read_text(encoding="utf-8")):
        if kind == "yaml" and (file := _FILE.match(body)):
            path = tmp_path / file[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        needs = options.strip().removeprefix("needs=")
        if kind == "console" and needs and find_spec(needs) is None:
            left.append(needs)
        elif kind == "console":
            for command, lines in commands(body):
                said = perform(command, tmp_path, cache)
                place = 0
                for line in lines:
                    found = expected(line).search(said, place)
                    assert found, f"$ {command}\nexpected: {line}\nprinted:\n{said}"
                    place = found.end()
                ran += 1
    if left:
        pytest.skip(f"{ran} commands were run; the others need {', '.join(left)}, which is not installed")
    assert ran


def test_what_is_no_command_is_not_shown_as_one() -> None:
    """A command that no test runs stands in a block of ``text``, with the reason before it."""
    for path in RECIPES:
        for kind, options, body in _BLOCK.findall(path.read_text(encoding="utf-8")):
            assert kind in ("console", "text", "yaml"), path
            assert (kind == "console") == body.startswith("$ "), path
            assert kind != "console" or not options.strip() or options.strip().startswith("needs="), path


def test_every_page_is_made_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    """Without Sphinx, which the gate runs: the pages of the code, and links between all."""
    import shutil
    import sys

    folder = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("_build", "made", "__pycache__"))
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate import write_pages
    finally:
        sys.path.pop(0)
    write_pages(folder)
    pages = list(folder.rglob("*.md"))
    assert len(pages) > 50
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"`[^`]*`", "", text)
        for target in _LINK.findall(text):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
    listed = re.findall(r"^((?:made|recipes)/\S+)$", (folder / "index.md").read_text(), re.MULTILINE)
    assert all((folder / f"{name}.md").is_file() for name in listed)
    assert {f"recipes/{path.stem}" for path in RECIPES} <= set(listed)
