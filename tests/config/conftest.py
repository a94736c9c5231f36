from pathlib import Path
from typing import Protocol

import pytest


class Writer(Protocol):
    """Writes a file into the current folder."""

    def __call__(self, name: str, text: str) -> Path: ...


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """An empty current folder, with a writer of files in it."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


SMALL = """
settings: {prompt: from the graph, strength: 0.4}
nodes:
  a: {op: first, params: {text: "${prompt}"}}
  b: {op: second, inputs: {x: a}, params: {strength: "${strength}", seed: "${seed}"}}
outputs: [b]
"""


@pytest.fixture
def small(folder: Writer) -> Writer:
    folder("graphs/small.yaml", SMALL)
    return folder
