"""What the cache's files and rows cost, beside raw writes, safetensors, torch and plain diskcache.

Run::

    python benchmarks/cache_io.py [--folder DIR] [--out benchmarks/results/cache_io.md]

All methods of a table run in one process, in turn and in rotating order, so that a busy machine hits all
alike; a figure is the median over the repetitions. Wall time is what a user waits for; CPU time is what is
left when other programs use the machine. Nothing is flushed to the platter by any method.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import diskcache
import numpy as np
import torch
from report import processor, publish
from safetensors import safe_open
from safetensors.torch import save_file
from xxhash import xxh3_64

from flowsynth.cache.container import StoredObject
from flowsynth.cache.leases import Leases
from flowsynth.cache.objects import ObjectStore
from flowsynth.cache.store import Cache
from flowsynth.cache.traces import TraceStore
from flowsynth.core.codec import Buffer, Encoded

MEGABYTES = (0.5, 8, 50, 200)
GOAL = 0.8
ROWS = 5000
ROW_BYTES = 400


def timed(
    acts: dict[str, Callable[[], object]],
    repetitions: int,
    in_a_row: int = 1,
    tidy: Callable[[], object] = lambda: None,
) -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of each act; they take turns, each followed by an untimed tidying up.

    Short acts run several times in a row, as a run writes chunk after chunk: else half of what is measured
    is the CPU's caches filling again after the method before.
    """
    walls: dict[str, list[float]] = {name: [] for name in acts}
    cpus: dict[str, list[float]] = {name: [] for name in acts}
    order = list(acts.items())
    for turn in range(repetitions + 1):
        order.append(order.pop(0))  # whoever comes after another finds memory as that one left it
        for name, act in order:
            for _ in range(in_a_row):
                wall, cpu = time.perf_counter(), time.process_time()
                act()
                if turn:  # the first warms up
                    walls[name].append(time.perf_counter() - wall)
                    cpus[name].append(time.process_time() - cpu)
            tidy()
    return {name: (statistics.median(walls[name]), statistics.median(cpus[name])) for name in acts}


def raw_write(data: memoryview, target: Path) -> None:
    """What the disk does at best: open, write, rename."""
    temp = str(target) + ".tmp"
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    while data.nbytes:
        data = data[os.write(fd, data) :]
    os.close(fd)
    os.replace(temp, target)  # noqa: PTH105


def checked_write(data: memoryview, target: Path) -> None:
    """The least that a checked write costs: a checksum over the bytes, and the raw write."""
    xxh3_64(data).digest()
    raw_write(data, target)


def writes(folder: Path, tensor: torch.Tensor, repetitions: int) -> dict[str, tuple[float, float]]:
    """Writers of one tensor, every time into a new file; only the last of each is left."""
    store = ObjectStore(folder / "store")
    data = tensor.numpy().data.cast("B")
    value = Encoded({"fps": "24/1"}, {"x": Buffer("U8", tuple(tensor.shape), data)})
    count = itertools.count()
    made: dict[str, list[Path]] = {}

    def new(name: str) -> Path:
        made.setdefault(name, []).append(folder / f"{name}{next(count)}")
        return made[name][-1]

    def put() -> None:
        key = f"{next(count):040x}"
        made.setdefault("cache", []).append(Path(store.path(key)))
        store.put(key, "Frames", 1, value, 1.0)

    def tidy() -> None:
        for paths in made.values():
            for path in paths[:-1]:
                path.unlink()
            del paths[:-1]

    acts: dict[str, Callable[[], object]] = {
        "raw write": lambda: raw_write(data, new("raw")),
        "raw write and xxh3": lambda: checked_write(data, new("checked")),
        "cache": put,
        "safetensors.save_file": lambda: save_file({"x": tensor}, new("safetensors")),
        "torch.save": lambda: torch.save(tensor, new("torch")),
    }
    found = timed(acts, repetitions, max(1, int(4e6 / tensor.nbytes)), tidy)
    for name in ("raw", "safetensors", "torch"):
        made[name][-1].replace(folder / name)
    return found


def reads(folder: Path, repetitions: int) -> dict[str, tuple[float, float]]:
    """Readers of the files that :func:`writes` left, up to a usable tensor or view."""
    store = ObjectStore(folder / "store")
    (key,) = store.keys()

    def first() -> StoredObject | None:
        return ObjectStore(folder / "store", read_only=True).get(key)

    def opened() -> torch.Tensor:
        with safe_open(folder / "safetensors", "pt") as file:
            found: torch.Tensor = file.get_tensor("x")
            return found

    acts: dict[str, Callable[[], object]] = {
        "raw read": lambda: (folder / "raw").read_bytes(),
        "cache, first open (checksum)": first,
        "cache, again": lambda: store.get(key),
        "safetensors.safe_open": opened,
        "torch.load": lambda: torch.load(folder / "torch", weights_only=True),
        "torch.load(mmap=True)": lambda: torch.load(folder / "torch", weights_only=True, mmap=True),
    }
    return timed(acts, repetitions)


def index(folder: Path, repetitions: int) -> dict[str, tuple[float, float]]:
    """Microseconds a row of the index, of plain diskcache, and of a lease."""
    row = os.urandom(ROW_BYTES)
    turn = iter(range(10**9))

    def keys() -> list[str]:
        base = next(turn)
        return [f"{hash((base, i)) & (1 << 160) - 1:040x}" for i in range(ROWS)]

    store = TraceStore(folder / "index")
    plain = diskcache.Cache(str(folder / "plain"), eviction_policy="none", cull_limit=0)
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode=wal")
    bare.execute("PRAGMA synchronous=1")
    bare.execute("CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    cache, leases = Cache(folder / "cache"), Leases(folder / "leases")
    known = keys()
    store.put_many(dict.fromkeys(known, row))
    plain_known = keys()[:1000]
    with plain.transact():
        for key in plain_known:
            plain.set(key, row)

    def batched(put: Callable[[dict[str, bytes]], object]) -> Callable[[], None]:
        def act() -> None:
            new = keys()
            for start in range(0, ROWS, 200):
                put(dict.fromkeys(new[start : start + 200], row))

        return act

    def put_plain(items: dict[str, bytes]) -> None:
        with plain.transact():
            for key, value in items.items():
                plain.set(key, value)

    def put_bare(items: dict[str, bytes]) -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", items.items())
        bare.execute("COMMIT")

    def record() -> None:
        for key in keys():
            cache.record(key, row, 1e-6)
        cache.commit()

    def lease() -> None:
        for key in known:
            leases.try_acquire(key)
            leases.release((key,))

    def each(get: Callable[[str], object], wanted: list[str]) -> Callable[[], None]:
        def act() -> None:
            for key in wanted:
                get(key)

        return act

    acts: dict[str, tuple[Callable[[], object], int]] = {
        "put_many, 200 a transaction": (batched(store.put_many), ROWS),
        "diskcache itself, 200 a transact": (batched(put_plain), ROWS),
        "sqlite3 alone, 200 a transaction": (batched(put_bare), ROWS),
        "Cache.record, rows of 1 us": (record, ROWS),
        "get_many": (lambda: store.get_many(known), ROWS),
        "get": (each(store.get, known), ROWS),
        "diskcache's own get": (each(plain.get, plain_known), len(plain_known)),
        "lease taken and given back": (lease, ROWS),
    }
    result = timed({name: act for name, (act, _) in acts.items()}, repetitions)
    plain.close()
    bare.close()
    cache.close()
    store.close()
    return {name: (wall / acts[name][1], cpu / acts[name][1]) for name, (wall, cpu) in result.items()}


def table(title: str, head: str, lines: list[str]) -> str:
    """A Markdown table under a heading."""
    rule = "|".join("---" for _ in head.split("|"))
    return "\n".join([f"## {title}", "", f"| {head} |", f"|{rule}|", *(f"| {line} |" for line in lines), ""])


def report(folder: Path, repetitions: int) -> str:
    """All tables as Markdown."""
    writing, reading, slow = [], [], []
    rng = np.random.default_rng(0)
    for size in MEGABYTES:
        data = rng.integers(0, 256, int(size * 1e6), dtype=np.uint8)
        count = repetitions * 4 if size < 10 else repetitions
        place = folder / str(size)
        place.mkdir()
        found = writes(place, torch.from_numpy(data), count)
        base = found["raw write"]
        share = base[1] / found["cache"][1]
        if share < GOAL:
            slow.append(f"{size:g} MB ({share:.0%})")
        writing += [
            f"{size:g} MB | {name} | {wall * 1e3:.2f} | {size / wall:,.0f} | {base[0] / wall:.0%} | "
            f"{cpu * 1e3:.2f} | {base[1] / cpu:.0%}"
            for name, (wall, cpu) in found.items()
        ]
        reading += [
            f"{size:g} MB | {name} | {wall * 1e3:.3f} | {cpu * 1e3:.3f}"
            for name, (wall, cpu) in reads(place, count).items()
        ]
        shutil.rmtree(place)
    rows = [f"{name} | {wall * 1e6:.1f} | {cpu * 1e6:.1f}" for name, (wall, cpu) in index(folder, 5).items()]
    names = ("torch", "safetensors", "diskcache", "xxhash", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        "# What the cache's files and rows cost",
        "",
        f"`python benchmarks/cache_io.py --repetitions {repetitions}`, {datetime.date.today()}: "
        f"{platform.system()} {platform.release()}, {processor()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}. "
        f"Load average at the end: {os.getloadavg()[0]:.1f}. Medians of {repetitions} repetitions "
        f"({repetitions * 4} below 10 MB), methods in turn, rotating (0.5 MB: 8 writes in a row), every "
        "write into a new file, page cache, no flush.",
        "",
        table(
            "Writes",
            "size | method | wall ms | MB/s | of a raw write | CPU ms | of a raw write's CPU",
            writing,
        ),
        "The cache's writes carry a checksum over every byte, a raw write and safetensors none: *raw write "
        f"and xxh3* is the least that such a write can cost. Goal: {GOAL:.0%} of a raw write; missed in CPU "
        f"time at: {', '.join(slow) or 'no size'}. On a busy machine the wall times say more about the "
        "neighbours.\n",
        table("Reads", "size | method | wall ms | CPU ms", reading),
        table(f"Index and leases, a row ({ROW_BYTES} bytes)", "what | wall us | CPU us", rows),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument("--out", type=Path, default=None, help="Markdown file to write")
    parser.add_argument("--repetitions", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="cache_io-") as folder:
        text = report(Path(folder), args.repetitions)
    publish([text.rstrip()], args.out)


if __name__ == "__main__":
    main()
