"""README's figures are those of the reports, and what has become slower is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Figure, compared


def test_the_table_of_readme_is_made_of_the_reports() -> None:
    made = harness.table()
    assert harness.README.read_text() == harness.with_table(harness.README.read_text(), made), (
        "python benchmarks/harness.py table"
    )
    assert made.count("\n") > 8


def test_a_row_is_taken_as_it_is_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "zebra.md").write_text("# Z\n\n<!-- README | b `x` | 2 | |  -->\n")
    (tmp_path / "engine.md").write_text(
        "<!-- README | a | 1 | beside | -->\nno <!-- README | c | 3 | | -->\n"
    )
    assert harness.table(tmp_path).splitlines()[2:] == ["| a | 1 | beside |", "| b `x` | 2 | | "]
    with pytest.raises(ValueError, match="around the table"):
        harness.with_table("no marks", "x")


def test_slower_is_what_grew_by_its_median_and_by_its_least() -> None:
    before = {name: Figure(2.0, 1.8, 0.5) for name in ("same", "slow", "unlucky", "fast", "gone")}
    now = {
        "same": Figure(2.1, 1.9, 0.5),
        "unlucky": Figure(3.0, 1.8, 0.5),
        "fast": Figure(1.5, 1.4, 0.4),
        "new": Figure(1.0, 1.0, 0.1),
    }
    lines, slower = compared(now, before, 0.1)
    assert not slower
    said = {line.split(" | ")[0].strip("| "): line.split(" | ")[-1].strip("| ") for line in lines[2:]}
    assert said == {"same": "", "unlucky": "", "fast": "faster", "new": "new", "slow": "gone", "gone": "gone"}
    lines, slower = compared({"slow": Figure(2.4, 2.1, 0.6)}, before, 0.1)
    assert slower
    assert "| 1.20 | slower |" in lines[2]


def test_a_processor_without_kept_figures_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "this_processor", lambda: "Abacus 2000")
    monkeypatch.setattr("sys.argv", ["harness.py", "compare", "--only", "no such case"])
    assert harness.main() == 2
    assert "no figures of 'Abacus 2000' are kept" in capsys.readouterr().err
    kept = json.loads(harness.RELEASED.read_text())
    assert all(len(values) == 3 for entry in kept.values() for values in entry["cases"].values())
