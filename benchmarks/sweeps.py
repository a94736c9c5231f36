"""Sweeps: eight guidance values apart, one after the other and merged; planning; jobs of hits.

    python benchmarks/sweeps.py guidance|equal|planning|hits [--values 8] [--jobs 10000] [OVERRIDE ...]

CPU seconds are those of the processes with all their threads, by `getrusage`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SMALL = ("frames=8", "short_side=192")


def cost(command: Sequence[str]) -> tuple[float, float, str]:
    """CPU and wall seconds of the program, and what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flowsynth", *command], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - start, done.stdout


def guidance(values: int, overrides: Sequence[str]) -> None:
    """Guidance values on the default graph, each way with caches of its own."""
    scales = [f"guidance_scale={2 + i}" for i in range(values)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost(
            ["run", *overrides, f"cache.dir={folder / 'warm'}", f"output_dir={folder / 'w'}", "-q"]
        )  # imports, weights
        apart = [
            cost(
                [
                    "run",
                    *overrides,
                    scale,
                    f"cache.dir={folder / f'a{i}'}",
                    f"output_dir={folder / f'o{i}'}",
                    "-q",
                ]
            )
            for i, scale in enumerate(scales)
        ]
        print(f"apart: {sum(a[0] for a in apart):.1f} CPU s, {sum(a[1] for a in apart):.1f} s")
        one = [
            cost(
                [
                    "run",
                    *overrides,
                    scale,
                    f"cache.dir={folder / 'one'}",
                    f"output_dir={folder / f'p{i}'}",
                    "-q",
                ]
            )
            for i, scale in enumerate(scales)
        ]
        print(f"one cache: {sum(a[0] for a in one):.1f} CPU s, {sum(a[1] for a in one):.1f} s")
        many = "guidance_scale=" + ",".join(scale.partition("=")[2] for scale in scales)
        sweep = [
            "run",
            "--multirun",
            *overrides,
            many,
            f"cache.dir={folder / 'm'}",
            f"output_dir={folder / 's'}",
            "-q",
        ]
        merged = cost(sweep)
        print(f"merged: {merged[0]:.1f} CPU s, {merged[1]:.1f} s")
        again = cost(sweep)
        print(f"merged again, all hits: {again[0]:.2f} CPU s")
        _same(folder, values)


def _same(folder: Path, values: int) -> None:
    """See that all three ways gave the same objects."""
    for i in range(values):
        records = [json.loads((folder / at / "run.json").read_text()) for at in (f"o{i}", f"p{i}", f"s/{i}")]
        objects = [{name: node["objects"] for name, node in record["nodes"].items()} for record in records]
        print(f"job {i}: the same objects {objects[0] == objects[1] == objects[2]}")


#: One process a line: the jobs of a sweep through Python, one after the other in one session, or merged.
WAYS = """
import sys, time
from contextlib import nullcontext
from pathlib import Path

from flowsynth.api import Session
from flowsynth.core.events import Observer
from flowsynth.sweeps.axes import axes_of
from flowsynth.sweeps.batches import Sessions
from flowsynth.sweeps.compose import jobs_of
from flowsynth.sweeps.perform import Sweep
from flowsynth.sweeps.table import Table

way, folder, *overrides = sys.argv[1:]
jobs = jobs_of([*overrides, f"cache.dir={folder}/cache"])
if way == "one":
    with Session.of(jobs[0].asked()[1].run_options()) as session:
        for job in jobs:
            graph, settings = job.asked()
            out = Path(folder, str(job.number))
            graph.run(session=session, options=settings.run_options(), output_dir=out)
else:
    table = Table(Path(folder), axes_of([job.overrides for job in jobs]))
    sweep = Sweep(table, None, lambda: nullcontext(Observer()), lambda *_: None)
    with Sessions(lambda settings: Session.of(settings.run_options())) as sessions:
        sweep.run(jobs, sessions)
    table.close()
print(time.process_time())
"""


def equal(values: int, overrides: Sequence[str], rounds: int = 2) -> None:
    """The same jobs in one process each way, both ways in turn."""
    many = "guidance_scale=" + ",".join(str(2 + i) for i in range(values))
    spent: dict[str, list[float]] = {"one": [], "merged": []}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(rounds):
            for way, times in spent.items():
                folder = Path(name, f"{way}{turn}")
                folder.mkdir()
                command = [sys.executable, "-c", WAYS, way, str(folder), *overrides, many]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                times.append(float(done.stdout.split()[-1]))
                print(f"{way}: {times[-1]:.1f} CPU s", flush=True)
        for job in range(values):
            texts = [Path(name, f"{way}0", str(job), "run.json").read_text() for way in spent]
            one, merged = ({n: v["objects"] for n, v in json.loads(t)["nodes"].items()} for t in texts)
            print(f"job {job}: the same objects {one == merged}")
    print(f"merged to one after the other: {sum(spent['merged']) / sum(spent['one']):.3f}")


def planning(jobs: int, overrides: Sequence[str]) -> None:
    """Jobs that are planned, with nothing in the cache; memory is the most that the process had."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["plan", "--multirun", f"seed=range({jobs})", *overrides, f"cache.dir={folder}"]
        script = (
            "import resource, sys; from flowsynth.cli import main; code = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, 'MB'); sys.exit(code)"
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", script, *command], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f} CPU s")
    print("\n".join(done.stdout.splitlines()[-2:]))


GRAPH = """
settings: {lift: 0.0}
nodes:
  clip: {op: read_video, params: {path: "${input.video}", short_side: 32, max_frames: 2}}
  bright: {op: contrast, inputs: {frames: clip}, params: {gamma: "${lift}"}}
  soft: {op: sharpen, inputs: {frames: bright}}
  small: {op: resize, inputs: {frames: soft}, params: {height: 24}}
  figures: {op: measure, inputs: {frames: small}}
  video: {op: encode_video, inputs: {frames: small}}
outputs: [video, figures.values]
"""


def hits(jobs: int, overrides: Sequence[str]) -> None:
    """Jobs of hits that deliver a video and figures: the same sweep twice, for two counts of jobs.

    The difference of the two is what a job costs, without what a process does.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "graphs").mkdir()
        (folder / "graphs" / "cheap.yaml").write_text(GRAPH)
        os.chdir(folder)
        spent = {}
        for count in (jobs // 10, jobs):
            axis = f"lift=range(1.0,{1 + count / 1000},0.001)"
            sweep = [
                "run",
                "--multirun",
                "graph=cheap",
                axis,
                *overrides,
                "cache.dir=c",
                f"output_dir=o{count}",
                "-q",
            ]
            first = cost(sweep)[0]
            spent[count] = cost(sweep)[0]
            print(f"{count} jobs: {first:.1f} CPU s, again {spent[count]:.2f} CPU s", flush=True)
        each = (spent[jobs] - spent[jobs // 10]) / (jobs - jobs // 10)
        print(f"a job of hits: {1000 * each:.2f} ms")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["guidance", "equal", "planning", "hits"])
    parser.add_argument("--values", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=10_000)
    args, overrides = parser.parse_known_args()
    if args.what == "guidance":
        guidance(args.values, [*SMALL, *overrides])
    elif args.what == "equal":
        equal(args.values, [*SMALL, *overrides])
    elif args.what == "planning":
        planning(args.jobs, overrides)
    else:
        hits(args.jobs, overrides)


if __name__ == "__main__":
    main()
