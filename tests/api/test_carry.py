"""A graph's results as a file: written, carried, taken in; and files that are none, or want more."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flowsynth.api import Session
from flowsynth.api.carry import Carried, export, import_file
from flowsynth.cache.remote.letter import sealed
from flowsynth.core.errors import InputError, RequestError
from tests.cache.remote.machines import graph, results, run, statuses


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that ran the graph, and what it exported."""
    folder = tmp_path_factory.mktemp("carried")
    run(folder, "first", None)
    exported(folder)
    return folder


@pytest.fixture
def carried(tmp_path: Path, made: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results.zip"


def exported(folder: Path, with_inputs: bool = False, radius: int = 2, machine: str = "first") -> Carried:
    with Session(folder / machine, read_only=True) as session:
        plan = session.plan(graph(folder, radius))
        return export(session, plan, folder / "results.zip", with_inputs)


def imported(folder: Path, inputs: Path | None = None, machine: str = "second") -> Carried:
    with Session(folder / machine) as session:
        return import_file(session, folder / "results.zip", inputs)


def test_an_empty_machine_has_all_that_was_carried(tmp_path: Path, carried: Path) -> None:
    with zipfile.ZipFile(carried) as archive:
        kinds = [name.partition("/")[0] for name in archive.namelist()]
    assert kinds.count("objects") == 3  # the wanted frames, not those in between
    assert kinds.count("rows") == 4  # of three nodes, and the length of the clip
    done = imported(tmp_path)
    assert (done.rows, done.objects, done.damaged) == (4, 3, [])
    second = run(tmp_path, "second", None)
    assert statuses(second) == {"hit"}
    assert results(second) == results(run(tmp_path, "first", None))


def test_the_same_results_are_the_same_file(tmp_path: Path, carried: Path) -> None:
    before = carried.read_bytes()
    exported(tmp_path)
    assert carried.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "results.zip", "source.txt"]


def test_objects_go_along_that_a_node_without_result_reads(tmp_path: Path, carried: Path) -> None:
    done = exported(tmp_path, radius=1)
    assert done.missing == ["mean", "sum"]
    with pytest.raises(RequestError, match="nothing of it is in the cache"):
        exported(tmp_path, machine="none")


def test_files_that_the_graph_reads(tmp_path: Path, carried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert exported(tmp_path, with_inputs=True).inputs == ["source.txt"]
    assert imported(tmp_path).inputs == []
    inputs = tmp_path / "inputs"
    assert imported(tmp_path, inputs).inputs == [str(inputs / "source.txt")]
    assert (inputs / "source.txt").read_bytes() == (tmp_path / "source.txt").read_bytes()
    assert imported(tmp_path, inputs).damaged == []
    (inputs / "source.txt").write_text("mine")
    assert imported(tmp_path, inputs).damaged == [f"{inputs / 'source.txt'} (another file is there)"]
    assert (inputs / "source.txt").read_text() == "mine"


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "objects/../../evil", "objects/ab/cd", "x.py", "rows/"]
)
def test_other_names_are_refused(tmp_path: Path, carried: Path, name: str) -> None:
    rewritten(carried, lambda entries: entries.update({name: b"x"}))
    with pytest.raises(InputError, match=r"results\.zip: expected a file of .*; it holds"):
        imported(tmp_path)
    assert not list(tmp_path.rglob("evil"))


def test_zips_of_other_kinds_are_refused(tmp_path: Path, carried: Path) -> None:
    data = carried.read_bytes()
    rewritten(carried, lambda entries: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        imported(tmp_path)
    for bad in (b"", b"no zip", data[: len(data) // 2], data[:-30]):
        carried.write_bytes(bad)
        with pytest.raises(InputError, match="no zip file"):
            imported(tmp_path)
    rewritten_twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(rewritten_twice, "w") as archive:
        archive.writestr("flowsynth-cache", b'{"format": 1}\n')
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("flowsynth-cache", b'{"format": 1}\n')
    carried.write_bytes(rewritten_twice.read_bytes())
    with pytest.raises(InputError, match="lie in each other"):
        imported(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.zip")
    with pytest.raises(InputError, match="no regular file"):
        imported(tmp_path)


def test_damage_is_found_and_not_taken(tmp_path: Path, carried: Path) -> None:
    def flip(entries: dict[str, bytes]) -> None:
        for name in entries:
            if name.startswith(("objects/", "rows/")):
                entries[name] = entries[name][:-1] + bytes([entries[name][-1] ^ 1])

    rewritten(carried, flip)
    done = imported(tmp_path)
    assert (done.rows, done.objects, len(done.damaged)) == (0, 0, 7)
    assert statuses(run(tmp_path, "second", None)) == {"computed"}


def test_a_flipped_bit_of_the_file_is_found(tmp_path: Path, carried: Path) -> None:
    data = bytearray(carried.read_bytes())
    with zipfile.ZipFile(carried) as archive:
        info = next(i for i in archive.infolist() if i.filename.startswith("objects/"))
    data[info.header_offset + 30 + len(info.filename) + info.file_size - 1] ^= 1
    carried.write_bytes(data)
    done = imported(tmp_path)
    assert done.damaged == [info.filename]
    assert done.objects == 2
    assert results(run(tmp_path, "second", None)) == results(run(tmp_path, "first", None))


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    "names",
    [
        ["../evil"],
        ["/tmp/evil"],
        ["a/../../evil"],
        ["..\\evil"],
        ["C:evil"],
        [""],
        ["."],
        [7],
        {"a": 1},
        "evil",
    ],
)
def test_files_stay_in_their_folder(tmp_path: Path, carried: Path, names: object) -> None:
    listed = {"inputs.json": json.dumps(names).encode(), "inputs/0": b"evil"}
    rewritten(carried, lambda entries: entries.update(listed))
    done = imported(tmp_path, tmp_path / "deep" / "inputs")
    assert done.inputs == []
    assert done.damaged == ["inputs.json"]
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_files_do_not_follow_links_out_of_their_folder(tmp_path: Path, carried: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "out").symlink_to(tmp_path)
    listed = {"inputs.json": b'["out/evil"]', "inputs/0": b"evil"}
    rewritten(carried, lambda entries: entries.update(listed))
    assert imported(tmp_path, tmp_path / "inputs").damaged == ["inputs/0"]
    assert not (tmp_path / "evil").exists()


def test_what_is_there_stays(tmp_path: Path, carried: Path) -> None:
    """A row of this machine counts, whatever a file says under its key."""
    run(tmp_path, "second", None)
    expected = results(run(tmp_path, "second", None))

    def forge(entries: dict[str, bytes]) -> None:
        for name in [name for name in entries if name.startswith("rows/")]:
            entries[name] = sealed(Path(name).name, b"[99,null,[]]")

    rewritten(carried, forge)
    imported(tmp_path)
    assert results(run(tmp_path, "second", None)) == expected
