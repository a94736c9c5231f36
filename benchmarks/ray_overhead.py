"""What a node costs that does nothing, by executor, and what a cluster on this machine costs to start.

Run::

    python benchmarks/ray_overhead.py [--nodes 400] [--out FILE.md]

A chain of nodes that add a number, all new to the cache; the first run of each session is left out, so that
workers have started. CPU time is that of this process and of all that it has started.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil
from report import machine, publish

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flowsynth.api import Graph, Session
from tests.executors.dags import Plus


def chain(count: int, start: int) -> Graph:
    """Nodes one after the other."""
    g = Graph("chain")
    last = g.add("n0", Plus(step=start))
    for i in range(1, count):
        last = g.add(f"n{i}", Plus(step=i), x=last)
    g.outputs = [f"n{count - 1}"]
    return g


def cpu_seconds() -> float:
    """Of this process and all below it."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def measured(executor: str, count: int, folder: Path) -> tuple[float, float, float, float]:
    """CPU and wall seconds of the first run of one node, then CPU and wall milliseconds a node."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    with Session(folder, executor=executor) as session:
        chain(1, -1).run(session=session, executor=executor)
        start = cpu_seconds() - cpu, time.perf_counter() - wall
        cpu, wall = cpu_seconds(), time.perf_counter()
        chain(count, 100).run(session=session, executor=executor)
        each = (cpu_seconds() - cpu) / count * 1e3, (time.perf_counter() - wall) / count * 1e3
    return (*start, *each)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=400)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        "| executor | start, CPU s | start, s | a node, CPU ms | a node, ms |",
        "|---|---:|---:|---:|---:|",
    ]
    for executor in ("serial", "threads", "ray"):
        with tempfile.TemporaryDirectory() as folder:
            first_cpu, first, cpu, wall = measured(executor, args.nodes, Path(folder))
        lines.append(f"| {executor} | {first_cpu:.2f} | {first:.2f} | {cpu:.2f} | {wall:.2f} |")
    publish([*lines, "", machine("torch", "ray")], args.out)


if __name__ == "__main__":
    main()
