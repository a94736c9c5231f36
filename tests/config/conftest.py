from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
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
  b: {op: second, inputs: {x: a}, params: {strength: "${strength}"}}
outputs: [b]
"""


@pytest.fixture
def small(folder):
    folder("graphs/small.yaml", SMALL)
    return folder
