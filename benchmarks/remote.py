"""A place behind the cache: what it costs to put and get rows and objects, and what a file of results takes.

    python benchmarks/remote.py place [--address file:///FOLDER|s3://BUCKET/FOLDER]
    python benchmarks/remote.py default [OVERRIDE ...]

Without an address of its own, `place` measures a folder, and a bucket of moto's server on this machine
(``pip install obstore "moto[server]"``).
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowsynth.cache.remote.cache import _place
from flowsynth.cache.remote.place import Place
from flowsynth.cache.remote.together import together

SMALL = ("frames=8", "short_side=192")
ROW, OBJECT = 3_000, 1_500_000


def milliseconds(act: Callable[[int], object], count: int) -> float:
    """The median time of doing something."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        act(i)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def read(place: Place, name: str) -> int:
    """Get all bytes under a name."""
    got = place.get(name)
    return 0 if got is None else sum(map(len, got.parts))


def measure(address: str, count: int = 30) -> None:
    """Put and get, one after the other and eight at a time."""
    start = time.process_time()
    place = _place(address, False)
    print(f"{address.partition('/')[0]} opened with {1000 * (time.process_time() - start):.0f} CPU ms")
    for what, size in (("row", ROW), ("object", OBJECT)):
        data = os.urandom(size)
        put = milliseconds(lambda i, w=what, d=data: place.put(f"rows/00/{w}{i}", d), count)  # type: ignore[misc]
        get = milliseconds(lambda i, w=what: read(place, f"rows/00/{w}{i}"), count)  # type: ignore[misc]
        miss = milliseconds(lambda i: place.get(f"rows/00/none{i}"), count)
        names = [f"rows/00/{what}{i}" for i in range(count)]
        begin = time.perf_counter()
        together(lambda name: read(place, name), names)
        each = 1000 * (time.perf_counter() - begin) / count
        print(f"  {what} of {size:,} bytes: put {put:.1f} ms, get {get:.1f}, eight at a time {each:.1f} each")
        print(f"  a miss {miss:.1f} ms")


@contextmanager
def moto() -> Iterator[str]:
    """A bucket of moto's server."""
    from tests.cache.remote.server import BUCKET, serving

    with serving() as server:
        os.environ.update(server.environment)
        yield f"s3://{BUCKET}/bench"


def flowsynth(folder: Path, *argv: str) -> tuple[float, str]:
    """CPU seconds of the program, and what it printed."""
    before = sum(os.times()[2:4])
    done = subprocess.run(
        [sys.executable, "-m", "flowsynth", *argv], cwd=folder, capture_output=True, text=True, check=True
    )
    return sum(os.times()[2:4]) - before, done.stdout


def default(overrides: Sequence[str]) -> None:
    """The default graph: made on one machine, had on another from a folder and from a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        remote = f"cache.remote=file://{folder / 'place'}"
        alone = flowsynth(folder, "run", *overrides, "cache.dir=alone", "output_dir=o0", "-q")[0]
        made = flowsynth(folder, "run", *overrides, "cache.dir=first", remote, "output_dir=o1", "-q")[0]
        had = flowsynth(folder, "run", *overrides, "cache.dir=second", remote, "output_dir=o2", "-q")[0]
        again = flowsynth(folder, "run", *overrides, "cache.dir=second", "output_dir=o3", "-q")[0]
        print(
            f"made {alone:.1f} CPU s, and sent {made:.1f}, had {had:.2f}, again without the place {again:.2f}"
        )
        files = [p.stat().st_size for p in (folder / "place").rglob("*") if p.is_file()]
        print(f"in the place: {len(files)} files, {sum(files):,} bytes")
        flowsynth(folder, "cache", "export", "toon", "r.zip", *overrides, "cache.dir=first")
        taken = json.loads(flowsynth(folder, "cache", "import", "r.zip", "cache.dir=third", "--json")[1])
        flowsynth(folder, "run", *overrides, "cache.dir=third", "output_dir=o4", "-q")
        record = json.loads((folder / "o4" / "run.json").read_text())
        hits = sum(node["status"] == "hit" for node in record["nodes"].values())
        rows, objects = taken["rows"], taken["objects"]
        print(f"a file: {taken['nbytes']:,} bytes, {rows} rows, {objects} objects, {hits} hits")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["place", "default"])
    parser.add_argument("--address")
    args, overrides = parser.parse_known_args()
    if args.what == "default":
        default([*SMALL, *overrides])
    elif args.address:
        measure(args.address)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(f"file://{folder}/place")
        with moto() as address:
            measure(address)


if __name__ == "__main__":
    main()
