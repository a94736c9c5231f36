"""The tree drawn in CONTRIBUTING.md names what is there, and the order of imports is the linter's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def folders(place: str) -> set[str]:
    return {found.parent.name for found in (ROOT / place).glob("*/__init__.py")}


def line(name: str) -> str:
    """The line of the picture that says what a folder is."""
    found = re.search(rf"^ +{name}/ +(.*)$", TEXT, re.MULTILINE)
    assert found, name
    return found[1]


def test_every_room_is_drawn() -> None:
    drawn = set(re.findall(r"^  (\w+)/ ", TEXT.split("## The tree")[1].split("## Recipes")[0], re.MULTILINE))
    assert drawn == folders("flowsynth") - {"assets"}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("operators", "flowsynth/operators"),
        ("functional", "flowsynth/functional"),
        ("families", "flowsynth/models/families"),
    ],
)
def test_rooms_within_are_named(name: str, place: str) -> None:
    named = set(re.findall(r"\w+", line(name).partition(": ")[2]))
    assert folders(place) - {"shared"} == named


def test_the_order_of_imports_is_the_one_that_is_checked() -> None:
    tomllib = pytest.importorskip("tomllib", reason="of Python 3.11")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    checked = [set(re.findall(r"flowsynth\.(\w+)", layer)) for layer in layers]
    told = re.search(r"in this order only: (.*?)\. Modules", TEXT, re.DOTALL)
    assert told
    names = re.findall(r"`(\w+)`", told[1])
    placed = [index for name in names for index, layer in enumerate(checked) if name in layer]
    assert placed == sorted(placed)
    assert set(names) == set().union(*checked) - {"training"}
