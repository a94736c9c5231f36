"""What the engine costs a node, beside a bare networkx loop and joblib.Memory, in one run.

Run::

    python benchmarks/engine.py [--nodes 10000] [--repetitions 3] [--out benchmarks/results/engine.md]

Every measurement is a process of its own. The figure is process CPU time, imports excluded; building the
graph, planning, leases, commits and reading the last value are inside. *cold* starts with no cache folder,
*warm* is a fresh process on the folder that cold left. Figures are medians over the repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import machine, publish

SHAPES = ("chain", "fan")


def flowsynth_nodes(count: int, shape: str, folder: Path, **options: Any) -> float:
    """CPU seconds of a graph of `count` nodes through the public API."""
    import flowsynth as fs
    import flowsynth.executors.engine  # imports are not what is measured
    from flowsynth.core.yaml_dump import dump_yaml

    del dump_yaml

    class Inc(fs.Operator):
        """Adds a step."""

        op = "inc"
        version = 1
        step: int = 1

        def run(self, _: fs.RunContext, /, *, x: int = 0) -> int:
            return x + self.step

    graph_class = fs.Graph
    start = time.process_time()
    graph = graph_class(shape)
    root = last = graph.add("n0", Inc())
    for i in range(1, count):
        last = graph.add(f"n{i}", Inc(step=i), x=root if shape == "fan" else last)
    run = graph.run(cache_dir=folder, **options)
    value = run[f"n{count - 1}"]
    spent = time.process_time() - start
    expected = 1 + (count - 1 if shape == "fan" else sum(range(1, count)))
    assert value == expected, (value, expected)
    return spent


def in_threads(count: int, shape: str, folder: Path) -> float:
    """The same by a worker thread for every device."""
    return flowsynth_nodes(count, shape, folder, executor="threads")


def as_the_command_line(count: int, shape: str, folder: Path) -> float:
    """The same as ``flowsynth run`` does it by default: in threads, with a folder and `run.json`."""
    return flowsynth_nodes(count, shape, folder, executor="threads", output_dir=folder.parent / "out")


def networkx_nodes(count: int, shape: str, folder: Path) -> float:
    """CPU seconds of the same sums in a bare topological loop that keeps nothing."""
    import networkx

    del folder
    start = time.process_time()
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_node(0)
    for i in range(1, count):
        graph.add_edge(0 if shape == "fan" else i - 1, i)
    values: dict[int, int] = {}
    for node in networkx.topological_sort(graph):
        values[node] = sum(values[up] for up in graph.predecessors(node)) + (node or 1)
    return time.process_time() - start


def joblib_nodes(count: int, shape: str, folder: Path) -> float:
    """CPU seconds of the same sums, each call cached by joblib.Memory."""
    from joblib import Memory

    memory = Memory(str(folder), verbose=0)
    inc = memory.cache(_add)
    start = time.process_time()
    values = [1]
    for i in range(1, count):
        values.append(inc(values[0] if shape == "fan" else values[-1], i))
    return time.process_time() - start


def _add(x: int, step: int) -> int:
    return x + step


METHODS: dict[str, Callable[[int, str, Path], float]] = {
    "networkx loop": networkx_nodes,
    "flowsynth": flowsynth_nodes,
    "flowsynth, threads": in_threads,
    "flowsynth, threads and run.json": as_the_command_line,
    "joblib.Memory": joblib_nodes,
}


def measure(method: str, count: int, shape: str, folder: Path) -> float:
    """Microseconds a node, in a fresh process."""
    command = [sys.executable, __file__, "--one", method, "--nodes", str(count), "--shape", shape]
    done = subprocess.run(
        [*command, "--folder", str(folder)], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    return float(json.loads(done.stdout)) / count * 1e6


def table(count: int, repetitions: int) -> list[str]:
    """The rows of the report."""
    rows = ["| shape | method | nodes | cold | warm |", "|---|---|---:|---:|---:|"]
    found: dict[tuple[str, str, str], list[float]] = {}
    counts = {**dict.fromkeys(METHODS, count), "joblib.Memory": min(count, 1000)}
    for _ in range(repetitions):
        for shape in SHAPES:
            for method in METHODS:
                folder = Path(tempfile.mkdtemp())
                for state in ("cold", "warm"):
                    cost = measure(method, counts[method], shape, folder / "cache")
                    found.setdefault((shape, method, state), []).append(cost)
                shutil.rmtree(folder, ignore_errors=True)
    for shape in SHAPES:
        for method in METHODS:
            cold, warm = (statistics.median(found[shape, method, state]) for state in ("cold", "warm"))
            rows.append(f"| {shape} | {method} | {counts[method]} | {cold:.0f} | {warm:.0f} |")
    return rows


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", choices=list(METHODS))
    parser.add_argument("--shape", choices=SHAPES, default="chain")
    parser.add_argument("--folder", type=Path, default=Path("cache"))
    args = parser.parse_args()
    if args.one:
        print(json.dumps(METHODS[args.one](args.nodes, args.shape, args.folder)))
        return
    lines = [
        "# The engine's cost a node",
        "",
        "Process CPU in microseconds a node, imports excluded: building the graph, planning, leases, commits",
        "and reading the last value included. *cold*: no cache; *warm*: a fresh process, everything a hit.",
        "",
        *table(args.nodes, args.repetitions),
        "",
        machine("networkx", "joblib", "diskcache", "pydantic"),
        f"- medians of {args.repetitions}; `python benchmarks/engine.py --nodes {args.nodes} "
        f"--repetitions {args.repetitions}`",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
