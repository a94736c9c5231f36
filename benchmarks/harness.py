"""All that is measured again and again, by one program: kept figures, a nightly comparison, README's table.

    python benchmarks/harness.py measure [--rounds 5] [--only NAME]   what the cases cost now
    python benchmarks/harness.py release ...                          the same, kept for this processor
    python benchmarks/harness.py compare [--tolerance 0.1] ...        the same beside the kept ones; 1: slower
    python benchmarks/harness.py table [--check]                      README's table, out of the reports

A case costs CPU seconds, its processes' included. Each is divided by what a fixed kernel of torch takes just
before and just after it, so that a slower or busier machine cancels out; medians of all rounds are compared,
and the least. The kernel is float32 convolutions on one thread; since processors differ in more than speed
(bfloat16, caches), figures are kept for each by name, in `benchmarks/results/released.json`.

README's table holds the lines of the reports that begin with `<!-- README |`, as these have them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RELEASED = RESULTS / "released.json"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
ROW = "<!-- README | "
#: The order of README's rows: first what a user waits for.
ORDER = (
    "first_run",
    "engine",
    "sweeps",
    "overhead",
    "diffusers",
    "long_video",
    "cache_io",
    "precision",
    "backends",
)
SMALL = ("frames=4", "short_side=96")
Call = Callable[[], object]


class Figure(NamedTuple):
    """What a case costs, in kernels.

    Attributes:
        median: of all rounds.
        least: of all rounds.
        seconds: CPU seconds, the least; for a reader, not for a comparison.
    """

    median: float
    least: float
    seconds: float


def this_processor() -> str:
    """The CPU's name."""
    from report import processor

    return str(processor())


def used() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def cost(call: Call) -> float:
    """CPU seconds of a call."""
    before = used()
    call()
    return used() - before


def kernel() -> Call:
    """The fixed kernel: a third of a second of convolutions on most machines."""
    import torch

    torch.set_num_threads(1)
    x, weight = torch.rand(1, 64, 128, 128), torch.rand(64, 64, 3, 3) / 24

    def run() -> None:
        y = x
        for _ in range(24):
            y = torch.nn.functional.conv2d(y, weight, padding=1)

    return run


def program(*arguments: str, at: Path | None = None) -> Call:
    """A command in a process of its own, which must succeed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        command = [sys.executable, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=at)

    return run


def engine(folder: Path, state: str) -> Call:
    """A chain of 3,000 nodes, imports included; a warm one finds what the last cold one left."""
    command = [
        str(HERE / "engine.py"),
        "--one",
        "flowsynth",
        "--nodes",
        "3000",
        "--shape",
        "chain",
        "--folder",
    ]
    if state == "warm":
        program(*command, str(folder / "chain"))()
        return program(*command, str(folder / "chain"))
    return lambda: program(*command, tempfile.mkdtemp(dir=folder))()


def default_graph(folder: Path, state: str) -> Call:
    """The default graph, small: into an empty cache, or all hits."""
    command = ("-m", "flowsynth", "run", "-q", *SMALL)
    if state == "warm":
        again = program(*command, f"cache.dir={folder / 'again'}", f"output_dir={folder / 'again-o'}")
        again()
        return again

    def run() -> None:
        at = tempfile.mkdtemp(dir=folder)
        program(*command, f"cache.dir={at}/c", f"output_dir={at}/o")()

    return run


def sweep_of_hits(folder: Path) -> Call:
    """A hundred jobs of hits that each deliver a video and figures."""
    from sweeps import GRAPH

    (folder / "graphs").mkdir()
    (folder / "graphs" / "cheap.yaml").write_text(GRAPH)
    names = ("graph=cheap", "lift=range(1.0,1.1,0.001)", "cache.dir=hits", "output_dir=hits-o")
    again = program("-m", "flowsynth", "run", "--multirun", "-q", *names, at=folder)
    again()
    return again


def operators() -> Iterator[tuple[str, Call]]:
    """Operators that take most of the default run, on a few frames, by a plain call."""
    from flowsynth.cache.location import default_cache_dir
    from flowsynth.core.context import RunContext
    from flowsynth.operators.files.read_video import ReadVideo
    from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
    from flowsynth.operators.picture.stylize import Stylize

    ctx = RunContext(cache_dir=default_cache_dir())
    clip = ReadVideo(path="clip:default", max_frames=4, short_side=192).run(ctx)
    smooth, style = TemporalSmooth(method="flow"), Stylize(style="toon")
    yield "temporal_smooth, 4 frames", lambda: smooth.run(ctx, frames=clip)
    yield "stylize, 4 frames", lambda: style.run(ctx, frames=clip)


def networks() -> Iterator[tuple[str, Call]]:
    """The shipped model's networks as the default run has them."""
    import torch
    from precision import pocket

    draw = torch.Generator().manual_seed(0)
    frames = torch.rand(1, 3, 192, 448, generator=draw)
    for name, call in pocket("auto", frames):
        yield name, torch.inference_mode()(call)


def cases(folder: Path) -> dict[str, Callable[[], Call]]:
    """What is measured: a name, and what prepares it."""
    found: dict[str, Callable[[], Call]] = {
        "flowsynth --help": lambda: program("-m", "flowsynth", "--help"),
        "default graph, 4 small frames": lambda: default_graph(folder, "cold"),
        "default graph, all hits": lambda: default_graph(folder, "warm"),
        "3,000 nodes, cold": lambda: engine(folder, "cold"),
        "3,000 nodes, warm": lambda: engine(folder, "warm"),
        "100 jobs of hits": lambda: sweep_of_hits(folder),
    }
    for name, call in (*operators(), *networks()):
        found[name] = lambda call=call: call  # type: ignore[misc]
    return found


def measured(rounds: int, only: str) -> dict[str, Figure]:
    """What each case costs, all cases in turn in every round."""
    spent: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        fixed = kernel()
        calls = {name: make() for name, make in cases(Path(name)).items() if only in name}
        for call in (fixed, *calls.values()):
            call()  # bytecode, files' pages, kernels that torch chooses
        for _ in range(rounds):
            for title, call in calls.items():
                before = cost(fixed)
                seconds = cost(call)
                unit = (before + cost(fixed)) / 2
                spent.setdefault(title, []).append((seconds / unit, seconds))
    return {
        title: Figure(
            round(statistics.median(r for r, _ in pairs), 4),
            round(min(r for r, _ in pairs), 4),
            round(min(s for _, s in pairs), 4),
        )
        for title, pairs in spent.items()
    }


def compared(now: dict[str, Figure], before: dict[str, Figure], tolerance: float) -> tuple[list[str], bool]:
    """The lines of a report, and whether something is slower: by its median and by its least.

    Args:
        now: what was measured.
        before: what is kept.
        tolerance: share by which both must have grown.
    """
    lines = ["| case | kernels, median (least) | CPU s | kept | ratio | |", "|---|---:|---:|---:|---:|---|"]
    slower = False
    for title, figure in now.items():
        kept = before.get(title)
        cells = f"| {title} | {figure.median:.2f} ({figure.least:.2f}) | {figure.seconds:.3f}"
        if kept is None:
            lines.append(f"{cells} | | | new |")
            continue
        grown = min(figure.median / kept.median, figure.least / kept.least)
        fallen = max(figure.median / kept.median, figure.least / kept.least)
        said = "slower" if grown > 1 + tolerance else "faster" if fallen < 1 - tolerance else ""
        slower |= said == "slower"
        lines.append(
            f"{cells} | {kept.median:.2f} ({kept.least:.2f}) | {figure.median / kept.median:.2f} | {said} |"
        )
    lines += [
        f"| {title} | | | {before[title].median:.2f} | | gone |" for title in before if title not in now
    ]
    return lines, slower


def released(file: Path = RELEASED) -> dict[str, Any]:
    """All kept figures, by processor."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def figures_of(entry: dict[str, Any]) -> dict[str, Figure]:
    """Those of one processor."""
    return {title: Figure(*values) for title, values in entry["cases"].items()}


def table(folder: Path = RESULTS) -> str:
    """README's table out of the reports: their rows in the order of `ORDER`, others after them by name."""
    reports = sorted(folder.glob("*.md"), key=lambda path: (_place(path.stem), path.stem))
    lines = [line for report in reports for line in report.read_text().splitlines()]
    rows = ["| " + line.removeprefix(ROW).removesuffix(" -->") for line in lines if line.startswith(ROW)]
    return "\n".join(["| what | flowsynth | beside |", "|---|---|---|", *rows]) + "\n"


def _place(stem: str) -> int:
    return ORDER.index(stem) if stem in ORDER else len(ORDER)


def with_table(readme: str, made: str) -> str:
    """README with this table between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, _, rest = readme.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"README.md: expected {BEGIN.strip()} and {END.strip()} around the table")
    return f"{before}{BEGIN}{made}{END}{after}"


def _table(check: bool) -> int:
    readme = README.read_text()
    made = with_table(readme, table())
    if check:
        print(
            "README's table is what the reports hold" if made == readme else "README's table is another one"
        )
        return int(made != readme)
    README.write_text(made)
    return 0


def _measure(what: str, rounds: int, only: str, tolerance: float) -> int:
    kept, name = released(), this_processor()
    if what == "compare" and name not in kept:
        print(f"no figures of {name!r} are kept: python benchmarks/harness.py release", file=sys.stderr)
        return 2
    now = measured(rounds, only)
    before = figures_of(kept[name]) if name in kept else {}
    lines, slower = compared(now, {k: v for k, v in before.items() if only in k}, tolerance)
    print("\n".join(lines))
    if what == "release":
        cases_ = {title: list(figure) for title, figure in {**before, **now}.items()}
        kept[name] = {"date": str(datetime.date.today()), "rounds": rounds, "cases": cases_}
        RELEASED.write_text(json.dumps(kept, indent=1) + "\n")
    return int(what == "compare" and slower)


def main() -> int:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["measure", "release", "compare", "table"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the names of cases")
    parser.add_argument("--tolerance", type=float, default=0.1)
    parser.add_argument(
        "--check", action="store_true", help="table: write nothing, 1 if README's is another one"
    )
    args = parser.parse_args()
    if args.what == "table":
        return _table(args.check)
    return _measure(args.what, args.rounds, args.only, args.tolerance)


if __name__ == "__main__":
    sys.exit(main())
