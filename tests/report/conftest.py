"""One run and one sweep, made once for all tests of pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowsynth.cache import Cache
from flowsynth.core.record import JobRecord, SweepRecord, TaskCounts, json_text
from flowsynth.report.write import write_report
from tests.report.making import EVIL, scene_graph


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its page; its second, so that there are hits; names that would be code."""
    base = tmp_path_factory.mktemp("pages")
    scene_graph("first").run(cache_dir=base / "c")
    folder = base / "<b>run"
    scene_graph().run(cache_dir=base / "c", output_dir=folder)
    with Cache(base / "c") as cache:
        write_report(folder, cache)
    return folder


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four by four, one job of which failed."""
    base = tmp_path_factory.mktemp("sweep")
    shades, seeds, jobs = ["0.2", "0.5", "0.8", "1.0"], ["1", "2", "3", EVIL], []
    for i, shade in enumerate(shades):
        scene_graph(shade=float(shade)).run(cache_dir=base / "c", output_dir=base / f"{4 * i}")
        for j, seed in enumerate(seeds):
            number = 4 * i + j
            axes = {"graph.nodes.scene.params.shade": shade, "seed": seed}
            common = {"job": number, "overrides": [f"{k}={v}" for k, v in axes.items()], "axes": axes}
            if number == 6:
                jobs.append(JobRecord(**common, status="failed", folder="6", errors=[f"no room {EVIL}"]))
                continue
            jobs.append(
                JobRecord(
                    **common,
                    status="done",
                    folder=f"{4 * i}",
                    outputs={"video": "video.mp4"},
                    seconds=1.0 + j,
                    metrics={"figures.psnr": 20.0 + number, "figures.frames": 12.0},
                    nodes=3,
                    shared=1,
                    compute=0.5,
                    tasks=TaskCounts(hit=1, computed=2),
                )
            )
    axes_of = {"graph.nodes.scene.params.shade": list[str | None](shades), "seed": list[str | None](seeds)}
    (base / "sweep.json").write_text(json_text(SweepRecord(axes=axes_of, jobs=jobs)))
    assert json.loads((base / "sweep.json").read_text())
    write_report(base, None)
    return base
