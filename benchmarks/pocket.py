"""How well the embedded family obeys: shapes, controls, motion, styles, LoRA and strength, against the goals.

Run::

    pip install -e ".[train]"
    python benchmarks/pocket.py [--only shapes,control] [--family DIR] [--out DIR] [--quick]

Everything is made through graphs and judged by arithmetic on the pixels. Figures, sheets and plots go to
the out folder; the report also to results/pocket.md, unless --quick is set. Parts that were measured before
(--only) keep their figures in the out folder and stay in the report. Clips and the network of LPIPS are
fetched once by checksum.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flowsynth as fs
from benchmarks.pocket_figures import report
from benchmarks.pocket_figures.lab import Lab
from flowsynth.core.errors import FlowsynthError
from flowsynth.models.locate import local_root

PARTS = ("shapes", "control", "motion", "style", "lora", "strength")
RESULTS = Path(__file__).parent / "results" / "pocket.md"


def measure(lab: Lab, name: str) -> report.Section:
    """Measure one part, with its CPU time."""
    start = time.process_time()
    section: report.Section = importlib.import_module(f"benchmarks.pocket_figures.{name}").measure(lab)
    section.seconds = time.process_time() - start
    return section


def facts(family: Path, sections: list[report.Section], quick: bool) -> list[str]:
    """When, on what, and with what this was measured."""
    size = sum(path.stat().st_size for path in family.rglob("*.safetensors")) / 2**20
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers"))
    cost = ", ".join(f"{section.title.lower()} {section.seconds:.0f}" for section in sections)
    return [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {libraries}, flowsynth {fs.__version__}; weights {size:.1f} MiB",
        f"CPU seconds: {cost} (less where the cache held a part)",
        f"`python benchmarks/pocket.py{' --quick' if quick else ''}`"
        + (": too few pictures for figures to keep" if quick else ""),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--family", default="shipped:pocket", help="folder; the embedded one unless given")
    parser.add_argument("--out", type=Path, default=Path("outputs/pocket"))
    parser.add_argument("--cache", type=Path, help="cache folder; the user's own unless given")
    parser.add_argument("--quick", action="store_true", help="few pictures, to see that everything runs")
    parser.add_argument("--threads", type=int, help="of torch")
    args = parser.parse_args()
    chosen = [name for name in args.only.split(",") if name]
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only: expected some of {', '.join(PARTS)}; given {', '.join(sorted(unknown))}")
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    family = local_root(args.family)
    with fs.Session(args.cache) as session:
        lab = Lab(family.absolute(), args.out.absolute(), session, args.quick)
        for name in chosen:
            section = measure(lab, name)
            report.save(section, lab.out / f"{name}.json")
            print(section.markdown(), end="\n\n", flush=True)
    kept = [report.load(path) for name in PARTS if (path := lab.out / f"{name}.json").exists()]
    text = report.report(kept, facts(family, kept, args.quick))
    (lab.out / "pocket.md").write_text(text)
    if not args.quick:
        RESULTS.write_text(text)


if __name__ == "__main__":
    try:
        main()
    except FlowsynthError as error:  # no such family, no network for the clips...
        sys.exit(str(error))
