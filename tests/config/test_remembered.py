"""A composition that is kept is what composing again would give, or it is not taken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsynth.config import composition, remembered
from flowsynth.config.composition import compose_request
from flowsynth.config.folders import search_path
from tests.cache.helpers import python

GRAPH = """
settings:
  prompt: a dog
  more: 3
nodes:
  text: {op: text_encode, inputs: {model: models.base}, params: {prompt: "${prompt} ${more}"}}
models: {base: "${model}"}
outputs: [text]
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("FLOWSYNTH_CACHE", raising=False)
    here = tmp_path / "here"
    (here / "graphs").mkdir(parents=True)
    (here / "graphs" / "mine.yaml").write_text(GRAPH)
    return here


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often Hydra composed."""
    made: list[int] = []
    really = composition.compose_parts

    def counted(*args: Any) -> object:
        made.append(1)
        return really(*args)

    monkeypatch.setattr(composition, "compose_parts", counted)
    return made


def ask(here: Path, *more: str) -> composition.Composition:
    """As `run` asks, and as it would without."""
    found = compose_request(["graph=mine", *more], here, recall=True, keep=True)
    assert found == compose_request(["graph=mine", *more], here)
    return found


def test_the_same_again_is_taken_and_equal(place: Path, count: list[int]) -> None:
    first = ask(place)
    assert ask(place) == first
    assert len(count) == 3  # both times beside it, and the first time
    other = ask(place, "prompt=a cat", "more=1.5", "workers=null")
    assert other != first
    assert ask(place, "prompt=a cat", "more=1.5", "workers=null") == other
    assert len(count) == 6


def _edit(here: Path) -> None:
    file = here / "graphs" / "mine.yaml"
    stamp = file.stat()
    file.write_text(GRAPH.replace("a dog", "a pig"))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def _shadow_a_model(here: Path) -> None:
    (here / "conf" / "model").mkdir(parents=True)
    (here / "conf" / "model" / "pocket.yaml").write_text("family: sd\nsource: other\n")


def _an_experiment(here: Path) -> None:
    (here / "conf" / "experiment").mkdir(parents=True)
    (here / "conf" / "experiment" / "none.yaml").write_text("# @package _global_\nprompt: x\n")


def _an_empty_group(here: Path) -> None:
    (here / "conf" / "model" / "pocket").mkdir(parents=True)


def _a_link(here: Path) -> None:
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "x.yaml").write_text("a: 1\n")
    (here / "conf").symlink_to(here / "elsewhere")


CHANGES = [_edit, _shadow_a_model, _an_experiment, _an_empty_group, _a_link]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_search_path_is_another(
    place: Path, count: list[int], change: Callable[[Path], None]
) -> None:
    ask(place)
    change(place)
    ask(place)
    assert len(count) == 4


def test_what_is_behind_a_link_counts(place: Path, count: list[int]) -> None:
    _a_link(place)
    ask(place)
    (place / "elsewhere" / "x.yaml").write_text("a: 2\n")
    ask(place)
    assert len(count) == 4


def test_another_folder_is_another(place: Path, count: list[int]) -> None:
    ask(place)
    shutil.copytree(place, place.with_name("there"))
    ask(place.with_name("there"))
    assert len(count) == 4


@pytest.mark.parametrize(
    "text",
    ["${oc.env:FS_X}", '"\\x24{oc.env:FS_X}"', '"${oc.env:FS_X,7}"', '"${ oc.env : FS_X}"'],
    ids=["plain", "escaped", "with a default", "with spaces"],
)
def test_what_reads_the_environment_is_not_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FLOWSYNTH_ENV", "FS_X")
    (place / "graphs" / "mine.yaml").write_text(GRAPH.replace("a dog", text))
    for value in ("one", "two"):
        monkeypatch.setenv("FS_X", value)
        assert compose_request(["graph=mine"], place, recall=True, keep=True).values["prompt"] == value
    for value in ("three", "four"):
        monkeypatch.setenv("FS_X", value)
        made = compose_request(["graph=mine", "prompt=${oc.env:FS_X}"], place, recall=True, keep=True)
        assert made.values["prompt"] == value


def test_what_others_could_have_written_is_not_taken(place: Path, count: list[int]) -> None:
    ask(place)
    folder = remembered.folder()
    (file,) = folder.iterdir()
    for path, mode in ((file, 0o666), (folder, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        ask(place)
        path.chmod(before)
        (file,) = folder.iterdir()
    assert len(count) == 6
    target = place / "target.json"
    file.rename(target)
    file.symlink_to(target)
    ask(place)
    assert len(count) == 8


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x"}', '{"graph": 7}'])
def test_garbage_is_composed_anew(place: Path, text: str) -> None:
    ask(place)
    (file,) = remembered.folder().iterdir()
    file.write_text(text.replace('"x"', f'"{file.stem}"'))
    ask(place)


def test_a_look_writes_nothing_and_a_large_folder_is_not_read(place: Path, count: list[int]) -> None:
    compose_request(["graph=mine"], place, recall=True)
    assert not remembered.folder().exists()
    for i in range(1001):
        (place / "graphs" / f"{i}.txt").touch()
    assert remembered.name_of([], search_path(place)) is None
    ask(place)
    assert not remembered.folder().exists()


def test_hydra_is_not_imported_for_it(place: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flowsynth.config import compose_request\n"
        "compose_request(['graph=mine'], Path(sys.argv[1]), recall=True, keep=True)\n"
        "print('hydra' in sys.modules, 'omegaconf' in sys.modules)"
    )
    assert python(code, place) == "True True\n"
    assert python(code, place) == "False False\n"
