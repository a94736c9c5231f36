"""The scripts of README.md run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.processes import ROOT, run

SCRIPTS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
#: A line that each prints last, in their order.
LAST = [
    r"3 done",
    r".*/out/image/000000\.png",
    r"Run\('text_to_image', done, .*computed=.*\)",
    r"torch\.Size\(\[1, 3, 256, 256\]\) .*/out/painted\.png",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: what a script shares with another is made once."""
    return tmp_path_factory.mktemp("cache")


def test_every_script_has_a_line_here() -> None:
    assert len(SCRIPTS) == len(LAST)


@pytest.mark.parametrize("number", range(len(LAST)))
def test_a_script_prints_what_it_says(number: int, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPTS[number])
    done = run("script.py", folder=tmp_path, environment={"FLOWSYNTH_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(LAST[number], done.stdout.splitlines()[-1]), done.stdout
