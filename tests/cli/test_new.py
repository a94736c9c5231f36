"""``flowsynth new``: what it writes works as it is, and nothing of the user's is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowsynth.cli import main
from tests.processes import ROOT, run

NAMES = {"graph": "mine", "operator": "glow", "family": "dull"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each kind."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, name in NAMES.items():
            assert main(["new", kind, name]) == 0
        assert main(["new", "operator", "an_operator_of_mine"]) == 0
        assert main(["new", "graph", "my-film", "--like", "toon"]) == 0
    return folder


@pytest.mark.parametrize(
    ("tool", "options"),
    [
        ("check", ["--isolated"]),
        ("check", ["--config", str(ROOT / "pyproject.toml")]),
        ("format", ["--check"]),
    ],
)
def test_ruff_has_nothing_to_say(made: Path, tool: str, options: list[str]) -> None:
    """By its own rules, and by ours where those count for the code of others."""
    places = ["."] if "--config" not in options else ["operators/glow.py", "families/dull.py"]
    command = [sys.executable, "-m", "ruff", tool, *options, *places]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_has_nothing_to_say(made: Path) -> None:
    """As strict as it can be, without a plug-in."""
    cache = ["--cache-dir", str(made / "mypy")]
    command = [sys.executable, "-m", "mypy", "--strict", *cache, "graphs", "operators", "families"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_their_own_tests_pass(made: Path) -> None:
    files = [
        f"{'families' if kind == 'family' else f'{kind}s'}/test_{kind}_{name}.py"
        for kind, name in NAMES.items()
    ]
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *files, folder=made, afresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_family_s_model_draws_in_a_shipped_graph(made: Path) -> None:
    given = [
        "--operators",
        "families/dull.py",
        "run",
        "-q",
        "graph=text_to_image",
        "model=dull",
        "prompt=teal",
    ]
    env = {"FLOWSYNTH_CACHE": str(made / "cache")}
    done = run("-m", "flowsynth", *given, "output_dir=out", folder=made, environment=env, afresh=True)
    assert done.returncode == 0, done.stderr
    assert (made / "out" / "image" / "000000.png").is_file()


def test_a_copy_is_the_graph_s_own_text(made: Path) -> None:
    assert (made / "graphs" / "my-film.yaml").read_text() == (ROOT / "graphs" / "toon.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("graph", "mine"), "the name is taken by another graph"),
        (("graph", "toon"), "the name is taken by another graph"),
        (("graph", "a/b"), "expected letters, digits, _ and -"),
        (("graph", "x", "--like", "tooon"), "did you mean 'toon'"),
        (("operator", "denoise"), "the name is taken by another operator"),
        (("operator", "json"), "Python has a module of that name"),
        (("operator", "class"), "not a name"),
        (("operator", "Glow"), "expected small letters"),
        (("operator", "q", "--like", "toon"), "--like: only read with graph"),
        (("family", "sd"), "the name is taken by another family"),
        (("thing", "x"), "argument KIND: invalid choice: 'thing'"),
    ],
)
def test_a_wrong_request_writes_nothing(
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(made)
    before = sorted(made.rglob("*"))
    assert main(["new", *given]) == 2
    assert words in capsys.readouterr().err
    assert sorted(made.rglob("*")) == before


def test_no_file_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by half either: where the test is there already, no graph is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "test_graph_mine.py").write_text("mine")
    assert main(["new", "graph", "mine"]) == 2
    assert [path.read_text() for path in (tmp_path / "graphs").iterdir()] == ["mine"]
