"""What a sweep's table is good for: the best job, and grids of pictures and clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowsynth.cli import main
from flowsynth.core.errors import RequestError
from flowsynth.core.record import JobRecord, SweepRecord
from flowsynth.sweeps.read import best, metric_of
from flowsynth.sweeps.sheets import sheets_of

GRAPH = """
settings: {contrast: 1.0, saturation: 1.0}
nodes:
  clip: {op: read_video, params: {path: "${input.video}", short_side: 48, max_frames: 3}}
  made:
    op: contrast
    inputs: {frames: clip}
    params: {contrast: "${contrast}", saturation: "${saturation}"}
  figures: {op: measure, inputs: {frames: made, reference: clip}}
  video: {op: encode_video, inputs: {frames: made}}
  still: {op: contact_sheet, inputs: {frames: made}, params: {count: 1}}
outputs: [video, figures, still]
"""


def record(rows: list[dict[str, Any]], **axes: list[str | None]) -> SweepRecord:
    jobs = [
        JobRecord(
            job=i,
            overrides=[],
            status=row.pop("status", "done"),
            folder=str(i),
            axes=row.pop("axes", {}),
            metrics=row,
        )
        for i, row in enumerate(rows)
    ]
    return SweepRecord(axes=axes, jobs=jobs)


def test_the_best_job_by_what_is_known_of_a_metric() -> None:
    table = record(
        [{"m.lpips": 0.2, "m.psnr": 30}, {"m.lpips": 0.1, "m.psnr": 20}, {"m.psnr": 99, "status": "failed"}]
    )
    assert best(table, metric_of(table, "lpips")).job == 1
    assert best(table, metric_of(table, "psnr")).job == 0
    assert best(table, "m.psnr", largest=False).job == 1


def test_a_metric_that_is_none_is_refused_by_name() -> None:
    table = record([{"a.lpips": 0.2, "b.lpips": 0.3, "own": float("nan")}])
    with pytest.raises(
        RequestError, match=r"lpips: may mean several metrics; expected one of a\.lpips, b\.lpips"
    ):
        metric_of(table, "lpips")
    with pytest.raises(RequestError, match=r"own2: no such metric.*did you mean 'own'"):
        metric_of(table, "own2")
    with pytest.raises(RequestError, match=r"own: is less better, or more\?"):
        best(table, "own")
    with pytest.raises(RequestError, match="no job that is done has a figure"):
        best(table, "own", largest=True)


def test_two_axes_make_a_sheet_and_more_make_more_of_them() -> None:
    rows = [{"axes": {"a": x, "b": y, "c": z}} for x in "12" for y in "345" for z in "67"]
    table = record(rows, a=["1", "2"], b=["3", "4", "5"], c=["6", "7"])
    sheets = sheets_of(table)
    assert [sheet.name for sheet in sheets] == ["_0", "_1"]
    assert [[cell and cell.job for cell in line] for line in sheets[1].cells] == [[6, 7], [8, 9], [10, 11]]
    assert [[cell and cell.job for cell in line] for line in sheets_of(table, "c", "a")[0].cells] == [
        [0, 6],
        [1, 7],
    ]
    with pytest.raises(RequestError, match="d: no axis of this sweep; expected one of a, b, c"):
        sheets_of(table, "d")


def test_keys_that_go_together_are_one_axis_and_holes_stay_empty() -> None:
    rows = [{"axes": {"p": p, "s": s, "b": b}} for p, s in ("x1", "y2") for b in "34"][:3]
    table = record(rows, p=["x", "y"], s=["1", "2"], b=["3", "4"])
    (sheet,) = sheets_of(table)
    assert [[cell.job if cell else None for cell in line] for line in sheet.cells] == [[0, 1], [2, None]]


def test_a_sweep_of_clips_its_best_job_and_its_grids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flowsynth.media.probe import probe

    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "g.yaml").write_text(GRAPH)
    common = ["graph=g", "cache.dir=c", "output_dir=o"]
    assert main(["run", "--multirun", *common, "contrast=0.5,1,x", "saturation=1,0.5", "-q"]) == 1
    rows = {row["job"]: row for row in json.loads((tmp_path / "o" / "sweep.json").read_text())["jobs"]}
    assert {"figures.flicker", "figures.psnr", "figures.ssim"} <= rows[0]["metrics"].keys()
    assert rows[2]["metrics"]["figures.ssim"] == pytest.approx(1)
    capsys.readouterr()
    assert main(["best", "o", "sharpness"]) == 2  # which way is better is a matter of taste
    assert main(["best", "o", "ssim"]) == 0
    out, err = capsys.readouterr()
    assert out == "graph=g cache.dir=c contrast=1 saturation=1\n"
    assert "job 2 of 6: figures.ssim = 1" in err
    assert main(["grid", "o", "--height", "48", "--cache-dir", "c"]) == 0
    made = capsys.readouterr().out.splitlines()
    names = ["video_sheet.png", "video_clip.mp4", "figures_plot_sheet.png", "still_sheet.png"]
    assert made == [f"o/grid/{name}" for name in names]
    info = probe(tmp_path / "o" / "grid" / "video_clip.mp4")
    first = probe(tmp_path / "o" / "0" / str(rows[0]["outputs"]["video"]))
    assert info.width > 2 * first.width
    assert info.height > 3 * first.height
    assert main(["grid", "o", "figures"]) == 2
    assert (
        "figures: no picture or video of this sweep; expected one of figures.plot, still, video"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("text", ["{", '{"jobs": 3}', None])
def test_what_is_no_table_is_refused(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    assert main(["best", str(tmp_path), "lpips"]) == 2
    assert "expected the sweep.json of a sweep" in capsys.readouterr().err
