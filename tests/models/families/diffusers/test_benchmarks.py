"""The script for a GPU runs on a CPU with the smallest models, and what it says is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import processes

ROOT = Path(__file__).parents[4]


def said(folder: Path, *arguments: str) -> dict[str, Any]:
    """What the script writes."""
    out = folder / "figures.json"
    script = str(ROOT / "benchmarks" / "gpu_pipelines.py")
    done = processes.run(
        script, "--device", "cpu", "--tiny", "--out", str(out), *arguments, folder=folder, afresh=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize(
    ("only", "classes", "subjects"),
    [
        (["--only", "FluxPipeline"], 1, 1),
        pytest.param([], 8, 3, marks=pytest.mark.slow),
    ],
)
def test_the_script_for_a_gpu_finds_what_holds_on_a_cpu(
    only: list[str], classes: int, subjects: int, tmp_path: Path
) -> None:
    found = said(tmp_path, *only)
    assert len(found["equality"]) == 2 * classes
    assert len(found["steps"]) == subjects
    assert all(row["equal"] for row in (*found["equality"], *found["steps"]))
    assert len(found["memory"]) == 3 * subjects
    for row in found["memory"]:
        assert row["added"] > 0
        assert abs(row["planned"] - row["added"]) < 0.4 * row["added"], row
    assert found["left out"] == []


@pytest.mark.slow
def test_what_there_is_no_time_for_is_left_out_by_name(tmp_path: Path) -> None:
    found = said(tmp_path, "--minutes", "0", "--only", "WanPipeline")
    assert found["left out"] == ["WanPipeline, equality", "WanPipeline"]
