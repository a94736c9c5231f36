"""The default graph as a newcomer meets it: the first run, the second, and a change of one number.

Run::

    python benchmarks/first_run.py [--out benchmarks/results/first_run.md]

Each step is the command line in a process of its own, in an empty folder with an empty cache. The second run
is compared with ``python -c "import hydra, networkx, pydantic"``, medians of five.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import machine, publish

IMPORTS = "import hydra, networkx, pydantic"


def command(folder: Path, *arguments: str) -> tuple[float, str]:
    """Wall seconds and the last line printed of a command in a folder."""
    env = {**os.environ, "FLOWSYNTH_CACHE": str(folder / "cache")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, (done.stdout.strip().splitlines() or [""])[-1]


def run(folder: Path, name: str, *overrides: str) -> tuple[float, dict[str, Any]]:
    """Wall seconds and the record of a run of the default graph."""
    seconds, _ = command(folder, "-m", "flowsynth", "run", f"output_dir={name}", *overrides)
    return seconds, json.loads((folder / name / "run.json").read_text())


def facts(path: Path) -> str:
    """What is in a video file."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        count = sum(1 for _ in container.decode(stream))
        return f"{stream.width}x{stream.height}, {count} frames at {float(stream.average_rate or 0):g} fps"


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, record = run(folder, "first")
        made = facts(folder / "first" / str(record["outputs"]["video"]))
        again = [run(folder, f"again{i}") for i in range(5)]
        assert all(n["status"] == "hit" for _, r in again for n in r["nodes"].values())
        bare = [command(folder, "-c", IMPORTS)[0] for _ in range(5)]
        changed, after = run(folder, "changed", "graph.nodes.denoise.params.guidance_scale=2.5")
        computed = [n for n, node in after["nodes"].items() if node["status"] == "computed"]
    second, imports = statistics.median(s for s, _ in again), statistics.median(bare)
    slowest = sorted(record["nodes"].items(), key=lambda item: -item[1]["seconds"])[:6]
    lines = [
        "# The default graph",
        "",
        f"`flowsynth run`, embedded model, default clip: {made}.",
        "",
        "| | seconds |",
        "|---|---:|",
        f"| first run | {first:.1f} |",
        f"| second run (all hits, no torch) | {second:.2f} |",
        f"| `python -c '{IMPORTS}'` | {imports:.2f} |",
        f"| after a change of denoise's guidance_scale | {changed:.1f} |",
        "",
        f"Second run to bare imports: {second / imports:.2f}.",
        f"After the change these ran: {', '.join(computed)}.",
        f"Peak memory of the first run: {record['peak_rss_bytes'] / 2**20:.0f} MiB. Slowest nodes, seconds: "
        + ", ".join(f"{n} {node['seconds']:.1f}" for n, node in slowest)
        + ".",
        "",
        machine("torch"),
        "- `python benchmarks/first_run.py`",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
