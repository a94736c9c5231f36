"""Do two versions of flowsynth make the same bytes? Keys may differ, results may not.

Run it in the root of each checkout (the package and ``tests/`` of that checkout are used), then compare:

    python benchmarks/same_bytes.py before.json
    python benchmarks/same_bytes.py after.json
    python benchmarks/same_bytes.py before.json after.json

It runs every shipped graph on a short clip, the default graph as it is shipped with ``--whole``, two hundred
random graphs of streams and values, and a sample of the pocket model's pictures, and writes down the content
hash of every output of every node.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowsynth.api import Run

sys.path.insert(0, str(Path.cwd()))

#: Graph -> overrides that make it short.
SHORT = {
    "toon": ["frames=8"],
    "long_video": ["frames=20"],
    "stylize_video": ["frames=8", "scale=2", "rate=2"],
    "upscale_video": ["frames=4", "width=160", "height=96"],
    "interpolate_video": ["frames=6", "width=160", "height=96"],
    "image_to_image": [],
    "text_to_image": ["negative_prompt=a small star"],
    "text_to_video": ["frames=8"],
}
#: More of the pocket model: prompts and seeds of one picture each.
PROMPTS = (
    "a small blue star at the top on a white background",
    "a red square and a green circle",
    "a large shape",
)


def main() -> int:
    """Write the hashes of one version, or compare two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--whole", action="store_true", help="the default graph at its full length, too")
    parser.add_argument("--random", type=int, default=200, help="how many random graphs")
    given = parser.parse_args()
    if len(given.files) == 2:
        return compare(*(json.loads(path.read_text()) for path in given.files))
    with tempfile.TemporaryDirectory() as folder:
        hashes = collect(Path(folder), given.random, whole=given.whole)
    given.files[0].write_text(json.dumps(hashes, indent=0, sort_keys=True) + "\n")
    print(f"{sum(map(len, hashes.values()))} outputs of {len(hashes)} graphs")
    return 0


def collect(folder: Path, count: int, *, whole: bool) -> dict[str, dict[str, str]]:
    """Content hashes by graph and output."""
    import flowsynth as fs

    found: dict[str, dict[str, str]] = {}
    jobs = [(name, name, overrides) for name, overrides in SHORT.items()]
    jobs += [
        (f"pocket {i} {p}", "text_to_image", [f"prompt={p}", f"seed={i}"]) for p in PROMPTS for i in range(3)
    ]
    if whole:
        jobs.append(("whole toon", "toon", []))
    for label, name, overrides in jobs:
        run = fs.compose(name, overrides).run(cache_dir=folder / "cache")
        found[label] = objects(run)
        print(label, flush=True)
    from tests.executors.dags import random_graph

    for seed in range(count):
        graph, _ = random_graph(seed, folder / "sources")
        executor = ("serial", "threads")[seed % 2]
        found[f"random {seed}"] = objects(graph.run(cache_dir=folder / "random", executor=executor))
    return found


def objects(run: Run) -> dict[str, str]:
    """Hash by node and port."""
    if run.record.status != "done":
        raise SystemExit("\n".join(run.record.errors))
    return {f"{n}.{p}": h for n, node in run.record.nodes.items() for p, h in node.objects.items()}


def compare(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    """Say what differs; exit code 1 if anything does."""
    different = [
        f"{graph}: {output}"
        for graph in sorted({*before, *after})
        for output in sorted({*before.get(graph, {}), *after.get(graph, {})})
        if before.get(graph, {}).get(output) != after.get(graph, {}).get(output)
    ]
    total = sum(map(len, before.values()))
    print(f"{total} outputs of {len(before)} graphs; {len(different)} differ")
    print("\n".join(different[:40]))
    return bool(different)


if __name__ == "__main__":
    raise SystemExit(main())
